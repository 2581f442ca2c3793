//! The codes of diagnostics. A code never changes its meaning; each has a page in `docs/errors/`.

use super::Severity;

/// A code and what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `E012` or `W003`.
    pub id: &'static str,
    /// What is wrong, in a few words: the title of its page.
    pub title: &'static str,
}

impl Code {
    /// Errors begin with `E`, warnings with `W`.
    pub fn severity(self) -> Severity {
        if self.id.starts_with('E') { Severity::Error } else { Severity::Warning }
    }
}

macro_rules! codes {
    ($($name:ident = $id:literal, $title:literal;)+) => {
        $(#[doc = concat!($id, ": ", $title, ".")] pub const $name: Code = Code { id: $id, title: $title };)+

        /// Every code, in order.
        pub const ALL: &[Code] = &[$($name),+];
    };
}

codes! {
    NOT_UTF8 = "E001", "the file is not UTF-8";
    TOO_LARGE = "E002", "the file is too large";
    TOO_DEEP = "E003", "values are nested too deeply";
    SYNTAX = "E004", "the file is not valid JSON or YAML";
    DUPLICATE_KEY = "E005", "a key is given twice";
    NUMBER_RANGE = "E006", "a number is out of range";
    NOT_JSON = "E007", "the YAML says what JSON cannot";
    ALIASES = "E008", "the aliases stand for too much";
    DOCUMENTS = "E009", "there are several YAML documents";
    WRONG_TYPE = "E010", "a value has the wrong type";
    MISSING_KEY = "E011", "a key is missing";
    UNKNOWN_KEY = "E012", "a key is not known";
    BAD_VALUE = "E013", "a value is not allowed here";
    BAD_NAME = "E014", "the name of the workflow is not valid";
    BAD_VERSION = "E015", "the version is not a semantic version";
    BAD_STEP_ID = "E016", "the id of a step is not valid";
    DUPLICATE_STEP = "E017", "two steps have the same id";
    BAD_DURATION = "E018", "a duration is not valid";
    BAD_SIZE = "E019", "a size is not valid";
    CONFLICTING_KEYS = "E020", "keys exclude each other";
    BAD_LITERAL = "E021", "`$literal` has another key beside it";
    BAD_VARIABLE = "E022", "an environment variable is not valid";
    BAD_DEFAULT = "E023", "a default does not fit its type";
    MISPLACED_KEY = "E024", "a key has no meaning here";
    DUPLICATE_OUTPUT = "E025", "an output is named twice";
    BAD_SKILL_SCHEMA = "E026", "a schema of a skill is not valid";
    BAD_SKILL_TEMPLATE = "E027", "a template of a skill is not valid";
    BAD_PROGRAM = "E028", "the program of a skill cannot be executed";
    UNKNOWN_STEP = "E030", "a reference names no step";
    FORWARD_REFERENCE = "E031", "a reference names a step that comes later";
    SELF_REFERENCE = "E032", "a step refers to itself";
    UNKNOWN_OUTPUT = "E033", "a step has no such output";
    UNKNOWN_CONTEXT = "E034", "the context has no such key";
    UNKNOWN_INPUT = "E035", "the workflow declares no such input";
    BAD_TEMPLATE = "E036", "a template is not valid";
    UNKNOWN_FIELD = "E037", "a record has no such field";
    NOT_BEFORE = "E038", "a reference names a step that has not ended";
    UNGUARDED_REFERENCE = "E039", "a reference names a step of a branch";
    UNKNOWN_SKILL = "E040", "a skill does not exist";
    MISSING_SKILL_INPUT = "E041", "an input of the skill is missing";
    BAD_SKILL_INPUT = "E042", "an input does not fit the skill";
    BAD_MANIFEST = "E043", "the manifest of a skill cannot be used";
    BAD_CRON = "E044", "a cron expression is not valid";
    BAD_ZONE = "E045", "a time zone does not exist";
    BAD_TRIGGER_INPUT = "E046", "the inputs of a trigger do not fit";
    BAD_EXPRESSION = "E050", "an expression is not valid";
    BAD_ENDPOINT = "E051", "a host that may be reached is not valid";
    UNHELD_SANDBOX = "E052", "a profile cannot hold a part of the sandbox";
    TYPE_ERROR = "E053", "an expression can only fail";
    BAD_SECRET = "E056", "a secret cannot have this name";
    SECRET_INPUT = "E057", "a secret input is not only handed on";
    READONLY_CONTEXT = "E060", "a step writes to a readonly key of the context";
    UNKNOWN_WORKFLOW = "E061", "a workflow does not exist";
    BROKEN_WORKFLOW = "E062", "a workflow that is called is not valid";
    RECURSIVE_WORKFLOW = "E063", "a workflow calls itself";
    DEEP_WORKFLOW = "E064", "workflows call each other too deeply";
    BAD_WORKFLOW_INPUT = "E065", "an input does not fit the workflow";
    UNKNOWN_STRATEGY_STEP = "E070", "a strategy is given to no step";
    UNREACHED_STRATEGY = "E071", "a strategy is never reached";
    UNKNOWN_HANDLER = "E072", "a handler does not exist";
    BAD_STRATEGY = "E073", "a strategy is not possible here";
    UNKNOWN_AGENT = "E080", "an agent does not exist";
    BAD_AGENT = "E081", "the file of an agent cannot be used";
    MISSING_PRICE = "E082", "a limit on cost needs a price";
    INCOMPLETE_AGENT = "E083", "an agent lacks what its kind needs";
    BAD_OUTPUT_SCHEMA = "E084", "an output schema is no JSON Schema";
    WIDE_NUMBER = "W001", "a number has more than 64 bits";
    ALMOST_REFERENCE = "W002", "a text looks like a reference";
    SINGLE_CHILD = "W003", "a parallel group has one step";
    HIDDEN_SKILL = "W004", "a skill stands in two places";
    HIDDEN_OUTPUT = "W005", "an output of a group hides those of a child";
    DOUBTFUL_PART = "W006", "a part of an expression can only fail";
    ALWAYS_UNEQUAL = "W007", "a comparison is always the same";
    FOREIGN_KEY = "W020", "a key belongs to another strategy";
    HIDDEN_AGENT = "W035", "an agent stands in two places";
    LOOSER_GUARDRAIL = "W036", "a step would loosen a guardrail of its agent";
    UNKNOWN_TOOL = "W037", "a tool is not known";
    ALL_TOOLS = "W038", "an agent may use every tool";
    OTHER_NAME = "W045", "a skill is called by another name";
    TOO_MANY = "W099", "there are too many problems";
}
