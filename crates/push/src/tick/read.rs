//! Reading single values of a tick out of JSON.

use super::{PushedLevel, PushedTime};
use jiff::fmt::temporal::Pieces;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use std::fmt;
use std::marker::PhantomData;
use tickhouse_model::DEPTH_LEVELS;

/// Seconds that fit Kite's field; a larger number counts as milliseconds.
const MOST_SECONDS: i64 = u32::MAX as i64;

/// A value that is written as an object: by itself serde would take a list for one, in the order of the fields.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

pub(super) fn object_or_null<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|object| object.0))
}

/// A whole number, written as one or as a float without a fraction (pandas writes 75.0).
struct Whole;

impl Visitor<'_> for Whole {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i64, E> {
        Ok(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i64, E> {
        i64::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<i64, E> {
        // exact below 2^53
        let fits = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
        if fits { Ok(value as i64) } else { Err(E::invalid_value(Unexpected::Float(value), &self)) }
    }
}

pub(super) fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    deserializer.deserialize_any(Whole)
}

pub(super) fn token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = whole_number(deserializer)?;
    u32::try_from(number).map_err(|_| {
        D::Error::invalid_value(Unexpected::Signed(number), &"an instrument token, 0 to 4294967295")
    })
}

pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    struct Number(i64);

    impl<'de> Deserialize<'de> for Number {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            whole_number(deserializer).map(Self)
        }
    }

    Ok(Option::<Number>::deserialize(deserializer)?.map(|number| number.0))
}

/// Up to five levels; the rest is empty.
pub(super) fn side<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[PushedLevel; DEPTH_LEVELS], D::Error> {
    struct Side;

    impl<'de> Visitor<'de> for Side {
        type Value = [PushedLevel; DEPTH_LEVELS];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {DEPTH_LEVELS} levels")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut levels = [PushedLevel::default(); DEPTH_LEVELS];
            for level in &mut levels {
                let Some(Object(found)) = list.next_element()? else { return Ok(levels) };
                *level = found;
            }
            match list.next_element::<serde::de::IgnoredAny>()? {
                Some(_) => Err(A::Error::invalid_length(DEPTH_LEVELS + 1, &self)),
                None => Ok(levels),
            }
        }
    }

    deserializer.deserialize_seq(Side)
}

impl<'de> Deserialize<'de> for PushedTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Time)
    }
}

struct Time;

impl Visitor<'_> for Time {
    type Value = PushedTime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time: null, whole seconds since 1970, or ISO 8601 as in 2026-11-20T09:15:01+05:30")
    }

    fn visit_unit<E: Error>(self) -> Result<PushedTime, E> {
        Ok(PushedTime::None)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<PushedTime, E> {
        match value {
            0..=MOST_SECONDS => Ok(PushedTime::Unix(value)),
            // the client's own arithmetic before 1970 makes no sense in any unit
            ..0 => Err(E::invalid_value(Unexpected::Signed(value), &self)),
            _ if value % 1_000 == 0 => Ok(PushedTime::Unix(value / 1_000)),
            _ => Err(E::custom("Kite's times are whole seconds: this has milliseconds")),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<PushedTime, E> {
        let number =
            i64::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))?;
        self.visit_i64(number)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<PushedTime, E> {
        let number =
            Whole.visit_f64(value).map_err(|_: E| E::invalid_value(Unexpected::Float(value), &self))?;
        self.visit_i64(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PushedTime, E> {
        let no_time = || E::invalid_value(Unexpected::Str(text), &self);
        let pieces = Pieces::parse(text).map_err(|_| no_time())?;
        let time = pieces.time().ok_or_else(no_time)?;
        if pieces.time_zone_annotation().is_some() {
            return Err(E::custom("the name of a zone can't stand in a time: write an offset as in +05:30"));
        }
        if time.subsec_nanosecond() != 0 {
            return Err(E::custom("Kite's times are whole seconds: this has a fraction"));
        }
        let local = pieces.date().to_datetime(time);
        let Some(offset) = pieces.to_numeric_offset() else { return Ok(PushedTime::Local(local)) };
        offset.to_timestamp(local).map(|at| PushedTime::Unix(at.as_second())).map_err(|_| no_time())
    }
}
