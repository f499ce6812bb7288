"""Simplified Chinese words of the report, by key; the terms are those of CDE 通告 2025 年第 50 号."""

from __future__ import annotations

from pkpd.report.chinese_labels import LABELS
from pkpd.report.chinese_statements import STATEMENTS

__all__ = ["WORDS"]

WORDS: dict = {
    **LABELS,
    "statements": STATEMENTS,
    "separators": {" ": "", ", ": "、", "; ": "；"},
    "figure": "图",
    "table": "表",
    "stop": "。",
    "numbered": "",
    "to": "～",
    "to_dose": "，",
    "list": "、",
    "clauses": "；",
    "sentences": "",
    "reference": "参照",
    "one_dose": "同一剂量",
    "interval": "给药间隔",
    "not_declared": "分析计划中未声明。",
    "stamp.plan": "计划",
    "stamp.data": "数据",
    "stamp.seed": "种子",
    "kind_of_document": "泛肿瘤剂量合理性论证",
    "contents": "目录",
    "skip": "跳至结论",
    "not_available": "不可用",
    "absent": "本次评估中缺少：{what}。",
    "absent.background": "作用机制、分子改变、适应症及既往剂量选择",
    "absent.data": "患者例数与观测数",
    "absent.aliasing": "瘤种与其他因素能否区分",
    "absent.vpc": "可视化预测检验（VPC）",
    "conditional.caption": "条件暴露量比值：各瘤种均采用全部患者的协变量",
    "conditional.note": "反映瘤种本身对暴露量的影响；结论依据边际比值，即各瘤种采用其自身患者。",
    "mediation.caption": "协变量对条件暴露量比值的解释",
    "mediation.change": "，OFV 变化 ",
    "mediation.note": (
        "已解释：相对于首个模型的对数比值变化，占首个模型的百分比。若协变量本身受瘤种影响，则可解释但不能消除差异。"
    ),
    "link.caption": "{label}：至生长时间与 {endpoint} 的联系",
    "mix.caption": "入组构成与目标人群",
    "mix.note": "目标：{source}。",
    "mix.said": (
        "入组应答率 {pooled} %，后分层应答率 {response} %（{level} % 区间 {lower}～{upper}）。"
        "{variation} % 的患者须为其他瘤种；加权患者相当于 {size} 例。"
    ),
    "mix.missing": "未入组：{names}，占目标人群的 {share} %。",
    "cells.age_bands": "按年龄段的患者与应答",
    "cells.biomarkers": "按生物标志物的患者与应答",
    "cutoff.caption": "各瘤种的统一界值 {cutoff}",
    "cutoff.note": ("统一界值下的敏感性与特异性；Youden 损失：相对于该瘤种的最佳界值。"),
    "cutoff.said": "斜率差异检验：{statistic}，自由度 {df}，p = {p_bootstrap}（自助法）。",
    "refused": "未计算 {name}：{reason}",
    "absent.gof": "拟合优度",
    "absent.etas": "随机效应与协变量的关系",
    "absent.eta_shrinkage": "各瘤种的收缩",
    "absent.by_dose": "每例患者的暴露量",
    "absent.biomarkers": "生物标志物与靶点占有",
    "absent.engagement": "靶点占有",
    "absent.markers": "按生物标志物的应答",
    "engagement.table_caption": "{label}：观测值，以及参照暴露量下的值和与 {reference} 的差异",
    "engagement.said": "各瘤种共用一个 Emax 的检验：{statistic}，自由度 {df}，p = {p_chi2}（χ²）。",
    "absent.organs": "器官功能、地区与制剂",
    "absent.efficacy": "有效性的暴露-效应关系",
    "absent.safety": "安全性的暴露-效应关系",
    "absent.differences": "暴露量的分层模型",
    "absent.borrowing": "收缩后的应答率",
    "absent.influence": "逐一剔除瘤种的汇总结果",
    "absent.forecasts": "其他剂量下的预测",
    "absent.populations": "器官功能、年龄、地区与制剂",
    "absent.representativeness": "目标人群（患病率与分子改变的发生率）",
    "absent.trial": "各瘤种的应答",
    "absent.duration": "缓解持续时间",
    "absent.refits": "重复分析",
    "absent.assumptions": "假设",
    "absent.characteristics": "决策表的操作特征（计划中的 [[scenario]]）",
    "absent.code": "供其他软件使用的最终模型",
    "question.label": "关注的问题",
    "question": "各瘤种是否均可采用 {dose}、每 {interval} 一次的相同剂量，是否有瘤种需要其他剂量，或应加以排除？",
    "question.exposure": "各瘤种采用 {dose}、每 {interval} 一次时的暴露量与 {reference} 相比是否在声明的边界之内？",
    "context.label": "应用背景",
    "context": (
        "基于群体药代动力学以及 {efficacy} 和 {safety} 的暴露-效应关系，为药物后续研发选择剂量和瘤种。"
        "各瘤种均与 {reference} 比较。"
    ),
    "context.exposure": "基于群体药代动力学比较各瘤种的暴露量。各瘤种均与 {reference} 比较。不决定剂量。",
    "background.mechanism": "作用机制",
    "background.alteration": "分子改变",
    "background.indications": "适应症",
    "background.earlier_doses": "既往剂量选择",
    "influence.label": "模型影响力",
    "influence": "结论通过决策表建立在群体药代动力学模型和暴露-效应模型之上；临床判断可以推翻这些结论。",
    "influence.exposure": "暴露量的比较仅依据群体药代动力学模型；不由此得出剂量。",
    "influence.classes": "暴露-效应关系的证据等级：{classes}。",
    "influence.randomised": (
        "患者在瘤种内随机分配至不同剂量水平（证据等级 EC1）：剂量间的应答差异可解释为剂量的作用。"
    ),
    "influence.observed": (
        "患者未随机分配剂量水平：暴露-效应关系既可能反映药物作用，也可能反映预后，因此不单独据此选择剂量。"
    ),
    "consequence.label": "错误决策的后果",
    "consequence": (
        "错误的“相同剂量”会使某瘤种用药过量或不足；错误的剂量调整会给予其不需要的剂量；错误的排除会使其失去有效的治疗。"
    ),
    "consequence.exposure": ("漏掉的差异会掩盖用药过量或不足的瘤种；误判的差异会要求不必要的证据。"),
    "risk.label": "模型风险",
    "impact.label": "模型影响",
    "decision.label": "可接受标准",
    "decision": (
        "差异超过分析计划声明的界值才有意义；仅凭统计学显著性不作任何决定，缺乏显著性也不能证明相同。"
        "“数据不足”不等于排除。"
    ),
    "decision.exposure": (
        "暴露量比值超出分析计划声明的边界，差异才有意义；仅凭统计学显著性不作任何决定，缺乏显著性也不能证明相同。"
    ),
    "verification.label": "验证",
    "verification": (
        "群体模型拟合：{convergence}。软件版本、随机种子以及数据、计划和模型的哈希值见附录；"
        "pkpd qualify 将安装环境与参考结果进行比较。"
    ),
    "verification.converged": "最小化和协方差步骤均成功",
    "verification.failed": "最小化或协方差步骤未成功",
    "validation.label": "确认",
    "validation": "群体模型的拟合优度与收缩，以及暴露-效应曲线旁的观测比例，见相应章节。",
    "validation.exposure": "群体模型的拟合优度与收缩见相应章节；未对应答建模。",
    "applicability.label": "适用性",
    "applicability": "适用于数据中的瘤种、剂量和患者；EXTRAPOLATED 标记其暴露量超出研究范围的剂量。",
    "deviations": "相对于已签署计划的偏离",
    "deviations.unsigned": "计划在运行前未签署：无法判断相对于先前版本的偏离。",
    "deviations.none": "计划按签署版本运行。",
    "deviations.caption": "与 {by} 于 {on} 签署的计划不同的条目",
    "deviations.note": "签署文件的 SHA-256：{sha256}。",
    "sources.caption": "{label}：暴露-效应关系的来源",
    "sources.note": "暴露量每增加一倍的比值比，各瘤种共用一个斜率，校正 {names}。",
    "sources.unadjusted": "暴露量每增加一倍的比值比，各瘤种共用一个斜率，未校正清除率的影响因素。",
    "refits.caption": "改变结论的重复分析",
    "refits.none": "没有重复分析改变结论。",
    "refits.note": "共重新判定 {n} 次：先验尺度减半与加倍、逐一剔除瘤种、按声明的检测方法分别分析。",
    "pooled.caption": "各瘤种所占比例及剔除该瘤种后的合并结果",
    "pooled.note": "患者占比超过 40 % 或合并结果改变超过 5 个百分点的瘤种：{names}。",
    "pooled.nobody": "无",
    "aliasing.caption": "各瘤种能否与其他因素区分",
    "aliasing.note": "与剂量及声明的各列置于同一模型；方差膨胀指与参照瘤种对比的方差膨胀。",
    "verdicts.caption": "各瘤种的结论，与 {reference} 的暴露量比值，以及结论所依据的各项陈述的概率",
    "verdicts.note": (
        "R：参照给药方案下{metric}与 {reference} 的比值及 90 % 置信区间。P：概率；R 在界内：位于无效应边界 {low} 与 {high} 之间。"
        "应答率 < p_0：低于值得用药的应答率。应答与安全性保持：在相同暴露量下与 {reference} 的差异在 δ_E = {efficacy} 和"
        " δ_S = {safety} 个百分点之内。该剂量下应答保持：参照剂量下的总差异同样在界内。n：有暴露量/有应答数据的患者例数。"
    ),
    "verdicts.note.exposure": (
        "R：参照给药方案下{metric}与 {reference} 的比值及 90 % 置信区间。P：概率；R 在界内：位于无效应边界 {low} 与 {high} 之间。"
        "n：有暴露量数据的患者例数。"
    ),
    "verdicts.absent": "除参照瘤种外，本次评估不含其他瘤种。",
    "qualifiers.caption": "上表所用限定词",
    "margins.caption": "分析计划声明的有意义差异",
    "thresholds.caption": "阈值：各项陈述须达到的概率及其他限值",
    "rules.caption": "决策表；自上而下逐行判断",
    "rules": (
        ("0", "暴露量、应答或不良事件可评价患者少于 {minimum_n} 例，或对比不可识别", "insufficient data"),
        ("1", "仅凭该瘤种自身数据 P(应答率 < p_0) ≥ {conclude}，且 P(R < {low}) < {conclude}", "exclude"),
        (
            "2a",
            "P(R < {low}) ≥ {conclude} 或 P(R > {high}) ≥ {conclude}：与参照暴露量匹配的剂量",
            "adjust dose",
        ),
        (
            "2b",
            "P(相同暴露量下不良事件增加 > δ_S) ≥ {conclude}，且某候选剂量使其在 δ_S 之内的概率 ≥ {keep}：其中最大的剂量",
            "adjust dose",
        ),
        (
            "2c",
            "P(相同暴露量下应答降低 > δ_E) ≥ {conclude}，剂量经随机分配，且安全限度内的某候选剂量恢复应答的概率 ≥ {keep}",
            "adjust dose",
        ),
        (
            "3",
            "P({low} ≤ R ≤ {high}) ≥ {conclude}，且相同暴露量下的应答与安全性、参照剂量下的应答各自保持的概率 ≥ {keep}",
            "same dose",
        ),
        ("3'", "除应答外同第 3 行，而 P(应答率 > p_0) ≥ {conclude} 且没有剂量能够改善", "same dose"),
        ("4", "其他情形", "insufficient data"),
    ),
    "exposure.text": (
        "暴露量按个体自身参数计算的{metric}进行比较。参照暴露量为 {reference_exposure}，即 {reference} 在参照剂量下的几何均值。"
    ),
    "exposure.caption": "参照给药方案下各瘤种的暴露量及其与 {reference} 的比值",
    "exposure.note": "比值为边际比值：各瘤种采用其自身患者。P：相对于无效应边界 {low} 与 {high} 的概率。",
    "counts.caption": "{label}：按瘤种和剂量发生事件的患者",
    "tests.caption": "{label}：瘤种间检验",
    "tests.note": "以自助法 p 值为准：在此样本量下 χ² 近似过于频繁地拒绝。两者均不决定结论。",
    "tests.note_chi2": "未进行自助法；χ² 的 p 值为近似值，小样本时过于频繁地拒绝。",
    "no_events": "未观测到事件；曲线与对比仅依赖惩罚似然。",
    "all_events": "全部患者均发生事件；曲线与对比仅依赖惩罚似然。",
    "coefficients.caption": "{label}：logistic 模型的系数",
    "contrasts.caption": "{label}：相同暴露量下与 {reference} 的差异，百分点",
    "differences.text": "分层模型使瘤种之间相互借用信息；收缩值说明异质性，结论依据未收缩的值。",
    "tau.caption": "对数暴露量的瘤种间标准差 τ",
    "tau.mean": "后验均值",
    "tau.sd": "后验标准差",
    "tau.p_above": "P(τ > τ_0)",
    "tau.threshold": "τ_0",
    "tau.prior": "先验：{prior}。",
    "tau.note": "τ_0：使 90 % 的瘤种位于无效应边界之内的标准差。",
    "shrunken.caption": "典型受试者相对于参照的原始与收缩后对数暴露量",
    "shrunken.note": "收缩值的 90 % 可信区间；均值与 τ 同时估计。",
    "borrowing.table_caption": "{label}：原始与收缩后的比例，合并所有剂量",
    "borrowing.table_note": (
        "收缩后：二项分层模型及 90 % 可信区间；划分平均：对瘤种所有分组方式取平均。先验：{prior}。"
    ),
    "borrowing.homogeneous": "P(各瘤种应答率相同) = ",
    "influence.table_caption": "逐一剔除瘤种后的瘤种均值",
    "influence.size": "，有效瘤种数 ",
    "influence.nobody": "未剔除",
    "influence.slope": "{name} 的斜率",
    "influence.log": "log {name}",
    "dose.caption": "各瘤种的剂量、其匹配依据及该剂量下的预测",
    "dose.note": (
        "候选剂量：{candidates}。参照剂量：{reference_dose}。所需 n：若估计值保持不变，能够得出结论的最少患者数。"
    ),
    "dose.note.exposure": "候选剂量：{candidates}。参照剂量：{reference_dose}。",
    "forecasts.caption": "参照剂量与各候选剂量下的预测",
    "forecasts.note": "按该瘤种患者平均。差异：与参照瘤种在参照剂量下之差，百分点，90 % 区间。",
    "trial.caption": "按瘤种的{label}，合并所有剂量",
    "trial.note": "精确（Clopper-Pearson）区间；收缩后：分层模型。",
    "sensitivity": "重复分析",
    "assumptions": "假设",
    "limitations": "局限性",
    "characteristics": "决策表的操作特征",
    "characteristics.truth": "真值",
    "characteristics.reached": "得出",
    "characteristics.false": "错误",
    "characteristics.any": "至少一个瘤种",
    "limitations.insufficient": "{histology}：数据不足以决定；若估计值保持不变，{n} 例患者可以决定。",
    "limitations.insufficient_unknown": "{histology}：数据不足以决定，且不知道再增加多少同类患者可以决定。",
    "limitations.qualified": "{histology}：{qualifier}，{meaning}。",
    "limitations.shrinkage": "{parameter} 的收缩为 {value} %：其个体估计值不可靠。",
    "limitations.randomised": "瘤种内剂量未随机分配；暴露-效应关系可能存在混杂。",
    "limitations.exposure": "分析计划没有终点：未显示暴露量的差异对患者是否有意义。",
    "limitations.failed": "群体药代动力学拟合未成功结束。",
    "conclusion.same dose": "{histology}：采用相同剂量，{dose}。",
    "conclusion.adjust dose": "{histology}：以 {dose} 取代参照剂量。",
    "conclusion.exclude": "{histology}：不纳入，或单独开发。",
    "conclusion.insufficient data": "{histology}：数据不足以决定；在此之前采用参照剂量并监测。",
    "conclusion.labelling": "说明书建议须由上述各条以及模型不能替代的获益风险评估共同得出。",
    "provenance": "溯源",
    "plan": "分析计划",
    "code": "最终模型（{program}）",
    "plan.caption": "实际运行的分析计划，已填入默认值",
    "provenance.caption": "上述数值的产生条件",
    "provenance.text": "本报告中的每个数值均为评估 JSON 的一个字段；其位置见页面的 data-field 属性。",
}
