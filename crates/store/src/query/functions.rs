//! The functions that a query may call: a list of names, everything else does not exist.
//!
//! Left out is what reads the outside, what makes large values from small inputs (`repeat`,
//! `lpad`, `generate_series`, arrays), what takes quadratic time (`levenshtein`) and what gives
//! another answer each time (`random`, `uuid`). Text functions that stay are [`Bounded`]: the
//! library does not charge their results to the memory pool.

use super::error::{QueryError, Resource};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::logical_expr::sqlparser::ast::BinaryOperator;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, create_udf,
};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

/// Scalar functions that give a number, a time or a yes or no, or one of their arguments.
const SCALAR: &[&str] = &[
    // any type
    "arrow_typeof",
    "coalesce",
    "greatest",
    "least",
    "nullif",
    "nvl",
    "nvl2",
    // numbers
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "exp",
    "factorial",
    "floor",
    "gcd",
    "isnan",
    "iszero",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "nanvl",
    "pi",
    "power",
    "radians",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
    // times
    "date_bin",
    "date_part",
    "date_trunc",
    "from_unixtime",
    "make_date",
    "make_time",
    "to_date",
    "to_local_time",
    "to_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    // text
    "ascii",
    "bit_length",
    "character_length",
    "contains",
    "ends_with",
    "find_in_set",
    "octet_length",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "starts_with",
    "strpos",
];

/// Functions that give text at most about as long as what they get.
const TEXT: &[&str] = &[
    "btrim",
    "chr",
    "initcap",
    "left",
    "lower",
    "ltrim",
    "md5",
    "reverse",
    "right",
    "rtrim",
    "split_part",
    "substr",
    "substr_index",
    "to_char",
    "to_hex",
    "translate",
    "upper",
];

/// Functions whose text is as long as all they get together.
const JOINING: &[&str] = &["concat", "concat_ws"];

/// Functions that put one text into another many times.
const REPLACING: &[&str] = &["regexp_replace", "replace"];

const AGGREGATES: &[&str] = &[
    "any_value",
    "approx_distinct",
    "approx_median",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "grouping",
    "last_value",
    "max",
    "median",
    "min",
    "percentile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

const WINDOWS: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

/// Of `datafusion-functions-json`; those that give lists are left out.
const JSON: &[&str] = &[
    "json_as_text",
    "json_contains",
    "json_from_scalar",
    "json_get",
    "json_get_bool",
    "json_get_float",
    "json_get_int",
    "json_get_json",
    "json_get_str",
    "json_length",
    "json_union_to_text",
];

/// Texts that one call may make for one batch (8192 rows).
const MAX_RESULT_BYTES: usize = 64 << 20;
/// The same for calls that can make more than they get: 1 KiB for each row.
const MAX_GROWN_BYTES: usize = 8 << 20;
/// A text made from constants alone: it may be copied to every row.
const MAX_CONSTANT_BYTES: usize = 64 << 10;

/// The names of all functions, as a reader of the help wants them: sorted, each once.
pub(super) fn names() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let lists = [SCALAR, TEXT, JOINING, REPLACING, AGGREGATES, WINDOWS, JSON];
        let mut names: Vec<_> = lists.into_iter().flatten().copied().collect();
        names.extend(["current_date", "current_timestamp", "now"]);
        names.sort_unstable();
        names.dedup();
        names
    });
    &NAMES
}

/// Adds the allowed functions and operators, and nothing else.
pub(super) fn add_to(builder: SessionStateBuilder) -> SessionStateBuilder {
    let mut operator = None;
    let scalars = SessionStateDefaults::default_scalar_functions()
        .into_iter()
        .filter_map(|function| {
            let name = function.name().to_owned();
            let bounded = |growth| Some(Bounded::around(&function, growth));
            let is_in = |list: &[&str]| list.contains(&name.as_str());
            if is_in(SCALAR) {
                Some(function)
            } else if is_in(TEXT) {
                bounded(Growth::None)
            } else if is_in(JOINING) {
                if name == "concat" {
                    operator = bounded(Growth::Operator);
                }
                bounded(Growth::Joined)
            } else if is_in(REPLACING) {
                bounded(Growth::Replaced)
            } else {
                None
            }
        })
        .collect();
    let aggregates = SessionStateDefaults::default_aggregate_functions()
        .into_iter()
        .filter(|function| AGGREGATES.contains(&function.name()) || is_alias(function.aliases()))
        .collect();
    let windows = SessionStateDefaults::default_window_functions()
        .into_iter()
        .filter(|function| WINDOWS.contains(&function.name()))
        .collect();
    let mut planners: Vec<Arc<dyn ExprPlanner>> = operator
        .map(|concat| Arc::new(Operators { concat }) as Arc<dyn ExprPlanner>)
        .into_iter()
        .collect();
    planners.extend(SYNTAX.iter().map(|planner| planner()));
    builder
        .with_scalar_functions(scalars)
        .with_aggregate_functions(aggregates)
        .with_window_functions(windows)
        .with_expr_planners(planners)
}

/// `var_samp` and `stddev_samp` are the names that the library gives to `var` and `stddev`.
fn is_alias(aliases: &[String]) -> bool {
    aliases
        .iter()
        .any(|alias| AGGREGATES.contains(&alias.as_str()))
}

/// Syntax that becomes a function: `extract(… from …)`, `substring(… from …)`, `position(… in …)`,
/// `count(*)`. Those for arrays, structs and maps are left out.
const SYNTAX: &[fn() -> Arc<dyn ExprPlanner>] = &[
    || Arc::new(datafusion::functions::datetime::planner::DatetimeFunctionPlanner),
    || Arc::new(datafusion::functions::unicode::planner::UnicodeFunctionPlanner),
    || Arc::new(datafusion::functions_aggregate::planner::AggregateFunctionPlanner),
    || Arc::new(datafusion::functions_window::planner::WindowFunctionPlanner),
];

/// Adds what cannot be given to the builder: JSON with its operators, and the present.
pub(super) fn add_later(state: &mut SessionState, now: Timestamp) -> Result<()> {
    datafusion_functions_json::register_all(state)?;
    // A function stands there once more for each of its aliases, and goes with them.
    let json: BTreeSet<_> = state
        .scalar_functions()
        .values()
        .map(|function| function.name().to_owned())
        .filter(|name| name.starts_with("json_"))
        .collect();
    for name in json {
        if JSON.contains(&name.as_str()) {
            if let Some(function) = state.deregister_udf(&name)? {
                let text = matches!(
                    name.as_str(),
                    "json_as_text" | "json_get_str" | "json_get_json"
                );
                state.register_udf(if text {
                    Bounded::around(&function, Growth::None)
                } else {
                    function
                })?;
            }
        } else {
            state.deregister_udf(&name)?;
        }
    }
    // Given from outside, so that one result has one present, and tests can choose it.
    let micros = now.as_microsecond();
    let utc: Arc<str> = "UTC".into();
    for name in ["now", "current_timestamp"] {
        let value = ScalarValue::TimestampMicrosecond(Some(micros), Some(Arc::clone(&utc)));
        let kind = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(&utc)));
        state.register_udf(Arc::new(constant(name, kind, value)))?;
    }
    let days = i32::try_from(micros.div_euclid(86_400_000_000)).ok();
    let today = constant("current_date", DataType::Date32, ScalarValue::Date32(days));
    state.register_udf(Arc::new(today))?;
    Ok(())
}

fn constant(name: &str, kind: DataType, value: ScalarValue) -> ScalarUDF {
    let give = Arc::new(move |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(value.clone())));
    create_udf(name, vec![], kind, Volatility::Immutable, give)
}

/// Makes `a || b` the bounded `concat` of the kind that null swallows.
#[derive(Debug)]
struct Operators {
    concat: Arc<ScalarUDF>,
}

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        Ok(PlannerResult::Planned(Expr::ScalarFunction(
            ScalarFunction {
                func: Arc::clone(&self.concat),
                args: vec![expr.left, expr.right],
            },
        )))
    }
}

/// How long a result can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Growth {
    /// As long as the arguments.
    None,
    /// All arguments one after another; null is empty text.
    Joined,
    /// The same, and null if any of them is.
    Operator,
    /// The first argument with its parts replaced by the last.
    Replaced,
}

/// A function that refuses to run if its result could be too long.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl Bounded {
    fn around(inner: &Arc<ScalarUDF>, growth: Growth) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(Self {
            inner: Arc::clone(inner),
            growth,
        }))
    }

    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let is_constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant {
            1
        } else {
            args.number_rows.max(1)
        };
        let sizes: Vec<Size> = args.args.iter().map(|arg| Size::of(arg, rows)).collect();
        let sum = sizes
            .iter()
            .fold(0, |sum, size| size.all.saturating_add(sum));
        let bytes = match self.growth {
            // A separator stands between any two.
            Growth::Joined if self.inner.name() == "concat_ws" => {
                let separators = sizes.first().map_or(0, |size| size.all);
                sum.saturating_add(separators.saturating_mul(sizes.len()))
            }
            Growth::None | Growth::Joined | Growth::Operator => sum,
            // Every character can be replaced, and a pattern's group can be named every second
            // character of the replacement.
            Growth::Replaced => {
                let text = sizes
                    .first()
                    .map_or(0, |size| size.all.saturating_add(rows));
                let by = sizes.get(2).map_or(0, |size| size.longest);
                text.saturating_mul(by.saturating_add(1))
            }
        };
        let limit = match self.growth {
            _ if is_constant => MAX_CONSTANT_BYTES,
            Growth::None => MAX_RESULT_BYTES,
            Growth::Joined | Growth::Operator | Growth::Replaced => MAX_GROWN_BYTES,
        };
        if bytes > limit {
            let what = Resource::Memory;
            return Err(QueryError::TooLarge { what }.into_library());
        }
        Ok(())
    }
}

/// Bytes of one argument.
struct Size {
    all: usize,
    longest: usize,
}

impl Size {
    fn of(value: &ColumnarValue, rows: usize) -> Self {
        match value {
            ColumnarValue::Scalar(scalar) => {
                let longest = match scalar {
                    ScalarValue::Utf8(text)
                    | ScalarValue::LargeUtf8(text)
                    | ScalarValue::Utf8View(text) => text.as_ref().map_or(0, String::len),
                    other => other.size(),
                };
                Self {
                    all: longest.saturating_mul(rows),
                    longest,
                }
            }
            ColumnarValue::Array(array) => Self::of_array(array),
        }
    }

    fn of_array(array: &ArrayRef) -> Self {
        fn add(lengths: impl Iterator<Item = usize>) -> Size {
            lengths.fold(Size { all: 0, longest: 0 }, |size, length| Size {
                all: size.all.saturating_add(length),
                longest: size.longest.max(length),
            })
        }
        match array.data_type() {
            DataType::Utf8 => add(array.as_string::<i32>().iter().flatten().map(str::len)),
            DataType::LargeUtf8 => add(array.as_string::<i64>().iter().flatten().map(str::len)),
            DataType::Utf8View => add(array.as_string_view().iter().flatten().map(str::len)),
            // Numbers and times as text.
            kind if kind.primitive_width().is_some() => Self {
                all: array.len().saturating_mul(40),
                longest: 40,
            },
            _ => {
                let bytes = array.get_array_memory_size();
                Self {
                    all: bytes,
                    longest: bytes,
                }
            }
        }
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn is_strict(&self) -> bool {
        self.inner.inner().is_strict()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.placement(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        self.check(&args)?;
        if self.growth == Growth::Operator {
            let nulls = nulls_of(&args)?;
            let joined = self.inner.invoke_with_args(args)?;
            return with_nulls(joined, nulls);
        }
        self.inner.invoke_with_args(args)
    }
}

/// Where any of the arguments is null.
enum Nulls {
    Nowhere,
    Everywhere,
    Somewhere(BooleanArray),
}

fn nulls_of(args: &ScalarFunctionArgs) -> Result<Nulls> {
    let mut found = Nulls::Nowhere;
    for arg in &args.args {
        match arg {
            ColumnarValue::Scalar(scalar) if scalar.is_null() => return Ok(Nulls::Everywhere),
            ColumnarValue::Array(array) if array.null_count() > 0 => {
                let here = arrow::compute::is_null(array)?;
                found = Nulls::Somewhere(match found {
                    Nulls::Somewhere(before) => arrow::compute::or(&before, &here)?,
                    _ => here,
                });
            }
            _ => {}
        }
    }
    Ok(found)
}

fn with_nulls(value: ColumnarValue, nulls: Nulls) -> Result<ColumnarValue> {
    match nulls {
        Nulls::Nowhere => Ok(value),
        Nulls::Everywhere => {
            let null = ScalarValue::try_from(&value.data_type())?;
            Ok(ColumnarValue::Scalar(null))
        }
        Nulls::Somewhere(nulls) => {
            let array = value.into_array(nulls.len())?;
            let array = arrow::compute::nullif(&array, &nulls)?;
            Ok(ColumnarValue::Array(array))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_the_list_exists() {
        let mut state = add_to(SessionStateBuilder::new()).build();
        add_later(&mut state, Timestamp::UNIX_EPOCH).unwrap();
        for name in names() {
            let is_there = state.scalar_functions().contains_key(*name)
                || state.aggregate_functions().contains_key(*name)
                || state.window_functions().contains_key(*name);
            assert!(is_there, "there is no function `{name}`");
        }
        assert!(state.table_functions().is_empty());
    }
}
