"""Simplified Chinese templates of the sentences that an assessment holds, by the key of each statement."""

from __future__ import annotations

__all__ = ["STATEMENTS"]

STATEMENTS: dict[str, str] = {
    "unknown": "未知",
    "dose": "剂量 {dose}",
    "in_brackets": "（{text}）",
    # verdicts
    "exposure_ratio": "其暴露量为 {reference} 的 {ratio} 倍（90 % 区间 {lower}～{upper}）",
    "exposure_only": (
        "{histology}：其暴露量为 {reference} 的 {ratio} 倍（90 % 区间 {lower}～{upper}），{state}"
        "（边界 {low}～{high}，在其内的概率为 {within}）。分析计划没有终点：仅凭暴露量不能决定剂量。"
    ),
    "exposure_inside": "在边界之内",
    "exposure_outside": "在边界之外",
    "exposure_open": "可能在边界之外",
    "at_dose": "预计在 {dose} 下应答率为 {response}，不良事件发生率为 {ae}。",
    "evaluable": "可评价暴露量 {n_pk} 例、应答 {n_response} 例、不良事件 {n_ae} 例",
    "not_identifiable": (
        "{histology}：无法得出结论，因为该瘤种不能与 {aliases} 区分，且没有外部知识可以解决（{counts}）。这并不是排除。"
    ),
    "too_few": "{histology}：数据不足以得出结论（{counts}；至少需要 {minimum} 例）。这并不是排除。",
    "exclude": (
        "{histology}：应加以排除，或单独开发。在 {dose} 下 {n} 例患者中 {responders} 例应答；应答率低于值得用药的 {p0}"
        "{source}的概率为 {probability}。{low_exposure}：{exposure}。"
    ),
    "exposure_not_low": "这不能由暴露量偏低解释",
    "exposure_perhaps_low": "暴露量是否偏低既未得到证实，也不能排除（低于 {low} 的概率：{probability}）",
    "exposure_match": (
        "{histology}：以 {dose} 取代 {reference_dose}，使暴露量与 {reference} 匹配；在相同剂量下{exposure}，"
        "超出 {low}～{high} 的概率为 {probability}。"
    ),
    "more_adverse_events": (
        "在相同暴露量下不良事件比 {reference} 多 {points} 个百分点（超过可接受的 {margin} 个百分点的概率为 {probability}）"
    ),
    "no_safe_dose": (
        "{histology}：没有研究过的剂量可以接受，无法给出剂量：{found}，且没有候选剂量使其与参照相差在 {margin} 个百分点之内。"
    ),
    "safety_limit": "{histology}：出于安全性考虑，最多给予 {dose}，而非 {reference_dose}：{found}。",
    "price": "代价是与 {reference_dose} 相比应答减少 {points} 个百分点。",
    "below_p0": "该应答率低于值得用药的 {p0}：请权衡是否应治疗该瘤种。",
    "effect_match": "{histology}：以 {dose} 取代 {reference_dose} 以恢复应答：{found}。",
    "it_responds_less": (
        "在相同暴露量下应答率比 {reference} 低 {points} 个百分点（超过可接受的 {margin} 个百分点的概率为 {probability}）"
    ),
    "same_dose": (
        "{histology}：采用与 {reference} 相同的剂量（{dose}）：{exposure}，在 {low}～{high} 之内的概率为 {within}；"
        "应答没有降低 {efficacy} 个百分点或更多（{kept}），不良事件没有增加 {safety} 个百分点或更多（{safe}）。"
    ),
    "same_dose_lower": (
        "{histology}：采用与 {reference} 相同的剂量（{dose}）。应答{shown}（差异 {points} 个百分点，90 % 区间"
        " {lower}～{upper}），但预计没有剂量可以改善，且其高于值得用药的 {p0} 的概率为 {probability}。"
        "暴露量与不良事件与 {reference} 一致：{exposure}。"
    ),
    "is_lower": "较低",
    "may_be_lower": "可能较低",
    "lacks_exposure": "暴露量在界内（{p}）",
    "lacks_effect": "相同暴露量下应答保持（{p}）",
    "lacks_safety": "相同暴露量下不良事件保持（{p}）",
    "lacks_total": "参照剂量下应答保持（{p}）",
    "responds_less": (
        "在相同暴露量下应答率比 {reference} 低 {points} 个百分点（超过可接受的 {margin} 个百分点的概率为 {probability}），"
        "但既不足以排除（应答率低于 {p0} 的概率：{below}），也得不出剂量"
    ),
    "no_dose_follows": "{found}，但由此得不出剂量",
    "unsafe_without_dose": "在相同暴露量下不良事件比 {reference} 多 {points} 个百分点，但由此得不出剂量",
    "nothing_shown": "既未证明相同，也未证明有意义的差异",
    "undecided": (
        "{histology}：{found}{missing}。相同剂量要求暴露量的概率达到 {conclude}，应答与不良事件的概率达到 {keep}。"
    ),
    "not_shown": "（未证明：{conditions}）",
    "n_decides": "若估计值保持不变，该瘤种有 {n} 例可评价患者即可决定（标准误按 1/√n 缩小）。",
    "design_decides": "仅增加患者不能决定；试验设计必须将两者区分开。",
    "n_unknown": "没有任何可评价患者，无法说明需要多少例才能决定。",
    "no_n_decides": "若估计值保持不变，该瘤种无论多少例患者都不能决定。",
    "until_then": "在此之前保持参照剂量（{dose}）并监测。",
    "reason": "{reason}。",
    "n_would_decide": "若估计值保持不变，{n} 例可评价患者即可决定。",
    "rests_on_rates": "该结论依据应答率，而非暴露-效应斜率。",
    "anchored": "该瘤种与 {aliases} 混杂；结论依据 {anchor}。",
    "extrapolated": "该剂量下的暴露量超出研究范围。",
    "blurred": "{shrinkage} 的收缩使个体暴露量模糊。",
    "rests_on_prior": "结论依赖先验：{changes}。",
    "rests_on_another": "结论依赖另一个瘤种：{changes}。",
    "assays_differ": "患者由不同检测方法筛选（{assays}）。",
    "with_prior_scale": "先验尺度为 {change} 倍时结论为{verdict}",
    "without_histology": "剔除 {change} 时结论为{verdict}",
    "verdict_same dose": "相同剂量",
    "verdict_adjust dose": "调整剂量",
    "verdict_exclude": "排除",
    "verdict_insufficient data": "数据不足",
    # reasons of the decision table
    "nothing_acceptable": "没有研究过的剂量可以接受",
    "own_exposure_safe": "该瘤种在参照剂量下的自身暴露量使不良事件保持在界值之内",
    "safety_caps": "安全限度之内没有高于参照剂量的剂量",
    "efficacy_cost": "有效性代价为应答减少 {points} 个百分点",
    "all_beyond": "所有候选剂量均超出外推限度",
    "none_matches": "没有候选剂量使暴露量落入界内",
    "match_refused": (
        "暴露量匹配的剂量 {dose} 被拒绝：该剂量下不良事件超过参照 {margin} 个百分点以上的概率为 {probability}"
    ),
    "safety_not_shown": (
        "剂量 {dose} 的安全性未得到证明：不良事件与参照相差在 {margin} 个百分点之内的概率为 {probability} %，因此应予监测"
    ),
    "higher_not_randomised": "更高的剂量可能恢复应答，但剂量未随机分配",
    # all histologies
    "exposure_differs": "{tested} 在瘤种间存在差异（似然比 {statistic}，自由度 {df}，{p}）；",
    "exposure_not_shown": "未证明 {tested} 在瘤种间存在差异（似然比 {statistic}，自由度 {df}，{p}）；",
    "heterogeneity": "log {metric} 的瘤种间标准差为 {sd}，P(SD > {threshold}) = {p}。",
    "response_differs": "{label}的瘤种间差异检验：斜率 {slopes}，相同暴露量下的水平 {level}。",
    "exchangeability_prior": "tau ~ {tau}，mu ~ {mu}，相对于参照瘤种的对数暴露量",
    "response_prior": "logit 均值 ~ {mu}，tau ~ {tau}；划分 ~ CRP(1)，应答率 ~ Beta(0.5, 0.5)",
    # assumptions
    "typical_subjects": (
        "各瘤种在 {dose}、每 {interval} 一次的方案下比较；暴露量比值为典型受试者（随机效应为零）之比，按各瘤种自身的协变量平均"
        "（边际比值）；相同协变量下的比值（条件比值）一并列出。"
    ),
    "empirical_bayes": "{metric} 以每例受试者的经验贝叶斯估计值进入暴露-效应模型，来自包含瘤种效应的拟合。",
    "exposure_joint": (
        "收缩超过 {percent} %：在群体药代动力学估计值给定的条件下，每例受试者暴露量的不确定性"
        "计入暴露-效应模型的似然；瘤种间差异的检验仍直接采用经验贝叶斯估计值。"
    ),
    "dose_proportional": "其他剂量下的暴露量与参照剂量下的暴露量成比例。",
    "standard_errors_of_r": "群体药代动力学拟合的标准误来自 R 矩阵：对受试者少的瘤种，三明治估计过小。",
    "standard_errors_by_louis": "群体药代动力学拟合的标准误按 Louis 公式计算。",
    "likelihood_sampled": "用于检验群体药代动力学中瘤种的似然由重要性抽样计算，带有抽样误差。",
    "doses_randomised": "剂量在瘤种内随机分配，因此暴露-效应关系可解释为剂量的作用。",
    "doses_not_randomised": "剂量未随机分配，因此暴露-效应关系可能含有混杂。",
    "bounds_source": "无效应边界 {low}-{high}：{source}。",
    "margins_source": "界值为 {efficacy}（有效性）与 {safety}（安全性）个百分点：{source}。",
    "p0_source": "低于此值则不值得用药的应答率：{source}。",
    "exchangeability": "瘤种间的可交换性：{prior}。",
    "outcome_missing": "{label}：{n} 例没有结局的受试者未纳入。",
    "penalised": "{label}：Firth 惩罚似然（{reason}）。",
    "not_penalised": "{label}：最大似然（{reason}）。",
    "exposures_equal": "{label}：{histologies} 中所有暴露量相等，没有暴露-效应关系。",
    "asked_for": "按要求",
    "joint": "暴露量的不确定性最大为 {percent} %",
    "few_events": "{histologies} 中事件或非事件少于 {few} 例",
    "no_separation": "事件与非事件均不少于 {few} 例，无分离",
    "separated": "数据在 {histologies} 中分离",
    # sources of exposure
    "evidence": "证据等级 {kind}（{known}）：{end}{marks}。",
    "randomised_doses": "随机剂量",
    "several_doses": "多个剂量，未随机",
    "one_dose": "单一剂量",
    "dose_effect": "随机剂量的对比显示剂量有作用；暴露量的斜率描述其大小",
    "no_dose_effect": "随机剂量的对比未显示剂量有作用，因此与暴露量的关系只是关联，未证明因果",
    "not_randomised": "暴露量未随机，因此与暴露量的关系只是关联，且可能存在混杂",
    "signs": "（混杂迹象：{marks}）",
    "mark_steady_state": "稳态暴露量混杂",
    "mark_clearance": "清除率混杂",
    "steady_state_confounded": (
        "{response}：暴露量每增加一倍的比值比，稳态暴露量为 {steady}，首周期暴露量为 {first}；稳态暴露量可能是应答的结果。"
        "措施：依据首周期暴露量判断。"
    ),
    "clearance_confounded": (
        "{response}：由清除率引起的暴露量加倍的比值比为 {clearance}，由剂量引起的为 {dose}（共用斜率的 p = {p}）；"
        "基线清除率本身即可预测结局。措施：依据剂量对比。"
    ),
    # times to events
    "times_not_compared": (
        "不在瘤种间比较：没有对照组或自然史数据时，瘤种间至事件时间的差异反映预后，而非药物作用。"
    ),
    "times_at_steady_state": (
        "当清除率随应答改变时，稳态暴露量可能是应答的结果；二分类终点的暴露量来源表明是否如此。"
    ),
    # tumour size
    "size_meaning": (
        "没有对照组时，肿瘤的生长与其对药物的反应仅靠模型区分，而生长在瘤种间天然不同：这些差异支持结论，但不决定结论。"
    ),
    "size_missing": "{all} 例患者中 {n} 例没有测量值，未纳入。",
    "size_link": "每例患者自身的生长时间估计值按已知进入模型，且生存更久者测量更久：这是对生存的预测，而非药物作用。",
    # target engagement
    "engagement_meaning": "最小二乘 Emax 模型：无药时的值与 EC50 共用，各瘤种有各自的 Emax。结论不依据该模型。",
    "engagement_missing": "{all} 例患者中 {n} 例没有数值，未纳入。",
    "not_analysed": "未分析：{message}",
}
