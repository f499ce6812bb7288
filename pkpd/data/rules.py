"""What the linter can say: each code with its message and its remedy.

``{value}`` is the cell, ``{before}`` what stood before it; other words are filled in where the rule is
applied.
"""

from __future__ import annotations

__all__ = ["RULES"]

RULES: dict[str, tuple[str, str]] = {
    # the file
    "E_FILE_NOT_FOUND": ("there is no file {path}.", "{hint}"),
    "E_FILE_UNREADABLE": ("{path} cannot be read: {reason}.", "Give a file that you may read."),
    "E_FILE_EMPTY": ("{path} is empty.", "Give a file with a header and one line per record."),
    "E_FILE_FORMAT": ("the file is {kind}.", "Save it as CSV (UTF-8)."),
    "E_NEEDS_PACKAGE": ("to read a {kind}, {package} must be installed.", "pip install {package}"),
    "E_ENCODING": (
        "the file is not {encoding} text (byte 0x{value}).",
        'Save it as "CSV UTF-8", or pass the DataFrame of pandas.read_csv(path, encoding=...).',
    ),
    "E_DELIMITER": (
        "the header holds more than one kind of separator: {kinds}.",
        "Separate all columns by one character, and put names that contain it in quotes.",
    ),
    "E_QUOTING": (
        "the quotes on this line do not match ({reason}); nothing after it could be read.",
        "Close each quote, and write a quote inside a quoted text twice.",
    ),
    "E_NO_HEADER": (
        "the first line holds numbers ({shown}), not column names.",
        "Put the column names on the first line: ID,TIME,AMT,EVID,DV ...",
    ),
    "E_HEADER": ("{problem}", "{hint}"),
    "E_NO_RECORDS": ("{source} has no records.", "Give at least one line of data."),
    "E_ROW_LENGTH": ("the line has {value} cells, the header {width}.", "{hint}"),
    "E_DECIMAL_COMMA": (
        "the comma could be a decimal mark or a thousands mark.",
        "Write numbers with a decimal point and without thousands marks.",
    ),
    "W_DECIMAL_COMMA": ("commas in {columns} are read as decimal marks.", "Write decimal points to be sure."),
    "W_RECORDS_EXCLUDED": (
        "{count} line(s) are marked {mark} and left out.",
        "Remove the mark where a record is meant.",
    ),
    # the columns
    "E_DUPLICATE_COLUMN": ("{problem}", "Rename or remove all but one; case does not tell them apart."),
    "E_MISSING_COLUMN": ("there is no column {name}; the table has {columns}.", "{hint}"),
    "E_COLUMN_TWICE": (
        "columns= uses {name} for more than one name.",
        "Use each column of the file once; copy it if it has two meanings.",
    ),
    "E_COLUMN_NOT_SUPPORTED": ("{name} changes what a record means and is not supported.", "{hint}"),
    "E_COLUMN_C": (
        "a column C marks records to leave out by the letter C; {value} has no meaning there.",
        "Write C or nothing in it, or rename the column if it is a covariate.",
    ),
    "E_COVARIATE_ROLE": (
        "{name} is a column of the NONMEM convention, not a covariate.",
        "Leave it out of covariates, or copy it to a column of another name.",
    ),
    "E_UNIT_COLUMN": (
        "a unit is given for {name}, which is not a column of the data.",
        "Columns are {columns}.",
    ),
    "W_COLUMN_REPLACED": ("{instead} is used in place of this column.", "Nothing, if that is meant."),
    "E_ADAM_ANALYTES": (
        "the table holds several analytes ({analytes}) and no DVIDN.",
        "Keep the records of one PARAMCD (and the doses), or number them in DVIDN.",
    ),
    "E_ADAM_DOSE": (
        "there are dose records but no DOSEA.",
        "Add DOSEA, the amount given, or AMT.",
    ),
    # single cells
    "E_NOT_NUMERIC": (
        "{value} is not a number.",
        "Write a number with a decimal point; a missing value is an empty cell, . or NA.",
    ),
    "E_NOT_FINITE": (
        "{value} is not a finite number.",
        "Write the number, or leave the cell empty if it is missing.",
    ),
    "E_NOT_INTEGER": ("{value} is not a whole number.", "Write a whole number."),
    "E_ID_MISSING": ("the record has no subject.", "Give each record the ID of its subject."),
    "E_TIME_MISSING": ("the record has no time.", "Give the time of the event."),
    "E_TIME_NEGATIVE": (
        "time {value} is negative.",
        "Shift the times of the subject so that its first record is at 0 or later.",
    ),
    "E_CLOCK": (
        "{value} is not a clock time or a point in time, as on other records.",
        "Write 8:30, 08:30:15 or 2025-03-01T08:30 on every record, or numbers on all.",
    ),
    "E_DATE": (
        "{value} is not a date ({order}).",
        "DATE is month/day/year, DAT1 day/month/year, DAT2 year/month/day, DAT3 year/day/month; the year has four "
        "digits.",
    ),
    "E_TIME_UNIT": ("{value} is not a unit of time.", 'Declare units={{"TIME": "h"}}, for instance.'),
    "W_TAD_DIFFERS": (
        "TAD is not the time since the last dose of the table ({expected}) on {count} observation(s).",
        "Correct TAD, TIME or the doses; the solver goes by TIME and the dose records.",
    ),
    "W_TIME_CLOCK": (
        "dates and clock times are turned into time since the first record of each subject, in {unit}.",
        'Another unit is had with units={{"TIME": "day"}}.',
    ),
    # events
    "W_EVID_INFERRED": (
        "there is no column EVID: the {count} records with AMT are doses, the others observations.",
        "Add EVID (1 dose, 0 observation) to say it yourself.",
    ),
    "E_EVID_VALUE": (
        "there is no event {value}.",
        "Write 1 for a dose, 0 for an observation, 2 for another event, 3 for a reset, 4 for a reset with a dose.",
    ),
    "E_DOSE_ZERO": ("a dose (EVID 1) has no amount.", "Give AMT, or leave the record out."),
    "E_AMT_NEGATIVE": ("the amount {value} is negative.", "Give an amount above 0."),
    "E_AMT_ON_OBSERVATION": (
        "a record that is no dose has an amount ({value}).",
        "Make it two records: the dose (EVID 1, DV empty) and the observation (EVID 0, AMT 0).",
    ),
    "E_DOSE_WITH_DV": (
        "the record has both an amount and a DV ({value}).",
        "Make it two records: the dose (EVID 1, DV empty) and the observation (EVID 0, AMT 0).",
    ),
    "E_RATE_WITHOUT_AMT": (
        "a rate ({value}) stands on a record without an amount.",
        "Give AMT, the infusion ends after AMT/RATE; where there is no dose set RATE to 0.",
    ),
    "E_RATE_NEGATIVE": (
        "the rate {value} is negative.",
        "Give the rate of the infusion, 0 for a bolus, -1 for a modelled rate or -2 for a modelled duration.",
    ),
    "E_II_NEGATIVE": ("the dosing interval {value} is negative.", "Give an interval above 0."),
    "E_ADDL_NEGATIVE": ("there cannot be {value} additional doses.", "Give 0 or more."),
    "E_ADDL_WITHOUT_II": (
        "{value} additional doses have no interval.",
        "Give II, the time between the doses.",
    ),
    "E_ADDL_TOO_MANY": (
        "{value} additional doses on one record are more than {most}.",
        "Correct ADDL (is it an amount or a time?), or write the dosing as several records.",
    ),
    "E_ADDL_WITHOUT_DOSE": (
        "a record that is no dose has additional doses ({value}).",
        "Set ADDL to 0 where there is no dose.",
    ),
    "E_SS_VALUE": ("SS is 0, 1 or 2, not {value}.", "Write 1 for a dose at steady state, else 0."),
    "E_SS_WITHOUT_II": (
        "a dose at steady state (SS = {value}) has no interval.",
        "Give II, the time between the doses that led to the steady state.",
    ),
    "E_SS_WITHOUT_DOSE": (
        "a record that is no dose has SS {value}.",
        "Set SS to 0 where there is no dose.",
    ),
    "W_II_UNUSED": (
        "II has no effect without ADDL or SS ({count} records).",
        "Give ADDL, or set II to 0.",
    ),
    "E_MDV_VALUE": ("MDV is 0 or 1, not {value}.", "Write 1 where DV is missing or to be left out, else 0."),
    "E_MDV_ON_DOSE": (
        "a record with EVID other than 0 has MDV 0.",
        "Set MDV to 1; if DV was measured there, add an observation record.",
    ),
    "E_DV_MISSING": ("MDV is 0 but DV is missing.", "Give DV, or set MDV to 1."),
    "W_DV_MISSING": (
        "{count} observation(s) without DV are kept as prediction points (MDV 1).",
        "Set MDV to 1 to say it yourself, or leave the records out.",
    ),
    "W_DV_ON_DOSE": (
        "DV is not used on dose records ({count} have one).",
        "Add an observation record if it was measured.",
    ),
    "E_CENS_VALUE": (
        "{name} cannot be {value}.",
        "Write 0 (measured), 1 (below the value in DV), or in CENS also -1 (above it).",
    ),
    "E_CENS_WITHOUT_BOUND": (
        "the value is censored but the bound is not given.",
        "With CENS write the bound in DV; with BLQ give it in a column LLOQ.",
    ),
    "E_LIMIT_ORDER": (
        "the limit {value} is not on the other side of DV.",
        "Of a value below DV the LIMIT is smaller, of one above it larger.",
    ),
    "W_LIMIT_UNUSED": (
        "LIMIT has no effect on values that are not censored ({count}).",
        "Set CENS where the value is censored, or empty LIMIT.",
    ),
    "W_DV_BELOW_LLOQ": (
        "{count} observation(s) lie below LLOQ and are used as measured.",
        "Flag them as censored, or set MDV to 1, if they were not quantified.",
    ),
    "E_CMT_MIXED": (
        "{value} is a name, while other records have numbers.",
        "Name all compartments, or number all.",
    ),
    "E_CMT_NEGATIVE": (
        "CMT {value} turns a compartment off, which a dose cannot do.",
        "Give the compartment that the dose goes to; turn a compartment off with EVID 2, or with an observation.",
    ),
    "E_CMT_ENDPOINT": (
        "observations stand in compartment {before} and in {value}, but no DVID says which endpoint each of them is.",
        "Add DVID (1, 2, ... in the order in which the model observes them, or their names); CMT of an observation is not "
        "read otherwise.",
    ),
    "E_DVID_MISSING": (
        "the observation does not say which endpoint it is.",
        "Give DVID (1, 2, ... or the name that the model gives the endpoint) on every observation.",
    ),
    "E_DVID_VALUE": ("there is no endpoint {value}.", "Number the endpoints 1, 2, ..."),
    # subjects
    "E_ID_SPLIT": (
        "records of the subject begin again after those of another; NONMEM would see a new subject.",
        "Sort the table by ID, or give the second block another ID.",
    ),
    "E_TIME_NOT_INCREASING": (
        "time goes back to {value}, from {before} on the record before.",
        "Sort the records of each subject by time (equal times are allowed).",
    ),
    "E_SUBJECT_EMPTY": (
        "the subject has neither doses nor observations.",
        "Leave the subject out, or add its records.",
    ),
    "E_NO_DOSES": (
        "the subject has observations but no dose.",
        'Add its doses; if none was given (placebo), read_dataset takes allow=["E_NO_DOSES"].',
    ),
    "E_NO_OBSERVATIONS": (
        "the subject has doses but no observation.",
        'Leave the subject out, add a prediction point (EVID 0, MDV 1), or give read_dataset allow=["E_NO_OBSERVATIONS"].',
    ),
    "W_NO_DOSES": ("no subject has a dose.", "Add dose records (EVID 1, AMT) if a drug was given."),
    "W_NO_OBSERVATIONS": (
        "no record is an observation.",
        "Add them (EVID 0, MDV 0) to estimate anything; predictions and simulations need none.",
    ),
    "W_DUPLICATE_OBSERVATION": (
        "{count} observation(s) repeat time and endpoint of another (ID {subjects}).",
        "Remove them if they are copies; replicates may stay.",
    ),
    # covariates and histology
    "W_COVARIATE_MISSING": (
        "missing for {count} of {total} subjects (ID {subjects}).",
        "A model that uses it carries the values of other records of the subject over, and refuses subjects without any.",
    ),
    "W_COVARIATE_MIXED": (
        "{value} is not a number but other cells are; the column is read as categories.",
        "Correct the text if the covariate is a number.",
    ),
    "W_MISSING_CODE": (
        "{value} on {count} record(s) is used as a number; it looks like a code for a missing value.",
        "Leave the cell empty if the value is missing.",
    ),
    "E_HISTOLOGY_MISSING": (
        "the subject has no histology.",
        'Give it one ("unknown" may be a label of its own), or leave the subject out.',
    ),
    "E_HISTOLOGY_VARIES": (
        "the histology changes to {value}, from {before}, within the subject.",
        "Give each subject one histology, that of its first record, say.",
    ),
    "W_HISTOLOGY_FILLED": (
        "{count} record(s) without a label take that of their subject.",
        "Write it on every record.",
    ),
    "W_HISTOLOGY_SPELLING": (
        "{labels} are taken for different histologies.",
        "Write one histology one way.",
    ),
}
# declared as meant by the user, they remain worth a word
for _code in ("NO_DOSES", "NO_OBSERVATIONS"):
    RULES[f"W_{_code}_ALLOWED"] = (RULES[f"E_{_code}"][0], "Nothing: it is declared as meant.")
