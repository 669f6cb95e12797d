//! The functions that a report has beside those of `sql`: they know the calendar of the hubs.

use super::calendar::{Calendar, HubCalendar, seconds};
use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Date32Builder, Float64Array, Int64Array, ListBuilder,
    StringArray, StringViewArray, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Date32Type, Field, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

/// All of them.
pub(super) fn all(calendar: &Arc<Calendar>) -> Vec<Arc<ScalarUDF>> {
    let functions = NAMES.iter().map(|(name, what)| {
        let signature = Signature::new(
            TypeSignature::Exact(what.arguments()),
            Volatility::Immutable,
        );
        Arc::new(ScalarUDF::from(OfCalendar {
            name,
            what: *what,
            signature,
            calendar: Arc::clone(calendar),
        }))
    });
    functions.collect()
}

/// Their names.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

const NAMES: &[(&str, What)] = &[
    ("day_of", What::DayOf),
    ("last_day_of", What::LastDayOf),
    ("days_of", What::DaysOf),
    ("seconds_on", What::SecondsOn),
    ("hour_of", What::HourOf),
    ("hours_of", What::HoursOf),
    ("seconds_in", What::SecondsIn),
    ("weekday_of", What::WeekdayOf),
    ("seconds_between", What::SecondsBetween),
    ("address_of", What::AddressOf),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum What {
    DayOf,
    LastDayOf,
    DaysOf,
    SecondsOn,
    HourOf,
    HoursOf,
    SecondsIn,
    WeekdayOf,
    SecondsBetween,
    AddressOf,
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

impl What {
    fn arguments(self) -> Vec<DataType> {
        let hub = DataType::Utf8View;
        match self {
            Self::DayOf | Self::HourOf | Self::WeekdayOf => vec![hub, time()],
            Self::LastDayOf | Self::DaysOf | Self::HoursOf => vec![hub, time(), time()],
            Self::SecondsOn => vec![hub, DataType::Date32, time(), time()],
            Self::SecondsIn => vec![hub, time(), time(), time()],
            Self::SecondsBetween => vec![time(), time()],
            Self::AddressOf => vec![hub],
        }
    }

    fn result(self) -> DataType {
        let list = |kind| DataType::List(Arc::new(Field::new_list_field(kind, true)));
        match self {
            Self::DayOf | Self::LastDayOf => DataType::Date32,
            Self::DaysOf => list(DataType::Date32),
            Self::HoursOf => list(time()),
            Self::HourOf | Self::WeekdayOf => DataType::Int64,
            Self::SecondsOn | Self::SecondsIn | Self::SecondsBetween => DataType::Float64,
            Self::AddressOf => DataType::Utf8,
        }
    }
}

#[derive(Debug)]
struct OfCalendar {
    name: &'static str,
    what: What,
    signature: Signature,
    calendar: Arc<Calendar>,
}

impl PartialEq for OfCalendar {
    fn eq(&self, other: &Self) -> bool {
        self.what == other.what && Arc::ptr_eq(&self.calendar, &other.calendar)
    }
}

impl Eq for OfCalendar {}

impl Hash for OfCalendar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.what.hash(state);
    }
}

impl ScalarUDFImpl for OfCalendar {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.what.result())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let computed = self.compute(&arrays);
        let is_constant = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
        if args.args.iter().all(is_constant) {
            return ScalarValue::try_from_array(&computed, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(computed))
    }
}

impl OfCalendar {
    fn compute(&self, arrays: &[ArrayRef]) -> ArrayRef {
        match self.what {
            What::SecondsBetween => return between(&arrays[0], &arrays[1]),
            What::AddressOf => return addresses(arrays[0].as_string_view()),
            _ => {}
        }
        let rows = Rows::new(&self.calendar, arrays);
        match self.what {
            What::DayOf => Arc::new(
                rows.map(|hub, [at, ..]| hub.day_of(at))
                    .collect::<Date32Array>(),
            ),
            What::LastDayOf => Arc::new(
                rows.map(|hub, [started, until, _]| hub.last_day_of(started, until))
                    .collect::<Date32Array>(),
            ),
            What::HourOf => Arc::new(
                rows.map(|hub, [at, ..]| hub.hour_of_day(at))
                    .collect::<Int64Array>(),
            ),
            What::WeekdayOf => Arc::new(
                rows.map(|hub, [at, ..]| hub.weekday_of(at))
                    .collect::<Int64Array>(),
            ),
            What::SecondsOn => {
                let of_day = |hub: &HubCalendar, [day, started, until]: [i64; 3]| {
                    let day = i32::try_from(day).unwrap_or(i32::MAX - 1);
                    seconds(hub.micros_on(day, started, until))
                };
                Arc::new(rows.map(of_day).collect::<Float64Array>())
            }
            What::SecondsIn => {
                let of_hour = |hub: &HubCalendar, [hour, started, until]: [i64; 3]| {
                    seconds(hub.micros_in(hour, started, until))
                };
                Arc::new(rows.map(of_hour).collect::<Float64Array>())
            }
            What::DaysOf => {
                let mut lists = ListBuilder::new(Date32Builder::new());
                for row in
                    rows.map(|hub, [started, until, _]| hub.days_of(started, until).map(Some))
                {
                    lists.append_option(row);
                }
                Arc::new(lists.finish())
            }
            What::HoursOf => {
                let values = TimestampMicrosecondBuilder::new().with_timezone("UTC");
                let mut lists = ListBuilder::new(values);
                for row in
                    rows.map(|hub, [started, until, _]| hub.hours_of(started, until).map(Some))
                {
                    lists.append_option(row);
                }
                Arc::new(lists.finish())
            }
            What::SecondsBetween | What::AddressOf => Arc::clone(&arrays[0]),
        }
    }
}

/// The arguments after the hub, as numbers; each row with its hub's calendar.
struct Rows<'a> {
    calendar: &'a Calendar,
    hubs: &'a StringViewArray,
    arguments: Vec<&'a dyn Array>,
    len: usize,
}

impl<'a> Rows<'a> {
    fn new(calendar: &'a Calendar, arrays: &'a [ArrayRef]) -> Self {
        Self {
            calendar,
            hubs: arrays[0].as_string_view(),
            arguments: arrays[1..].iter().map(AsRef::as_ref).collect(),
            len: arrays[0].len(),
        }
    }

    /// Null where an argument is or the hub is not asked about.
    fn map<T>(
        self,
        compute: impl Fn(&'a HubCalendar, [i64; 3]) -> T,
    ) -> impl Iterator<Item = Option<T>> {
        let columns: Vec<Numbers<'a>> = self
            .arguments
            .iter()
            .map(|array| Numbers::of(*array))
            .collect();
        let mut last: Option<(&str, Option<&HubCalendar>)> = None;
        (0..self.len).map(move |row| {
            if self.hubs.is_null(row) || self.arguments.iter().any(|array| array.is_null(row)) {
                return None;
            }
            let hub = self.hubs.value(row);
            let known = last.filter(|(name, _)| *name == hub);
            let (_, calendar) = known.unwrap_or_else(|| (hub, self.calendar.hub(hub)));
            last = Some((hub, calendar));
            let mut values = [0; 3];
            for (value, column) in values.iter_mut().zip(&columns) {
                *value = column.get(row);
            }
            calendar.map(|calendar| compute(calendar, values))
        })
    }
}

enum Numbers<'a> {
    Days(&'a [i32]),
    Times(&'a [i64]),
}

impl<'a> Numbers<'a> {
    fn of(array: &'a dyn Array) -> Self {
        if array.data_type() == &DataType::Date32 {
            Self::Days(array.as_primitive::<Date32Type>().values())
        } else {
            Self::Times(array.as_primitive::<TimestampMicrosecondType>().values())
        }
    }

    fn get(&self, row: usize) -> i64 {
        match self {
            Self::Days(days) => i64::from(days[row]),
            Self::Times(times) => times[row],
        }
    }
}

fn between(from: &ArrayRef, to: &ArrayRef) -> ArrayRef {
    let times = |array: &ArrayRef| -> TimestampMicrosecondArray { array.as_primitive().clone() };
    let (from, to) = (times(from), times(to));
    let pairs = from.iter().zip(to.iter());
    let all = pairs.map(|(from, to)| Some(seconds(to? - from?)));
    Arc::new(all.collect::<Float64Array>())
}

/// An address as 32 hexadecimal digits that compare as addresses do; IPv4 as IPv6 maps it.
pub(super) fn address_digits(text: &str) -> Option<String> {
    let address = match text.trim().parse().ok()? {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    Some(format!("{:032x}", u128::from(address)))
}

fn addresses(texts: &StringViewArray) -> ArrayRef {
    let digits = texts.iter().map(|text| address_digits(text?));
    Arc::new(digits.collect::<StringArray>())
}
