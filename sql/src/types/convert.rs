//! Values as those of a type: the input of parameters, literals, assignments and casts.

use super::Type;
use crate::error::{Failure, Result, sqlstate};
use crate::time;
use crate::value::Value;

/// `value` as one of type `to`: the input of a parameter, a literal, an assignment, and, if `explicit`, a
/// cast.
pub(crate) fn convert(value: Value, to: Type, explicit: bool) -> Result<Value> {
    if value == Value::Null {
        return Ok(value);
    }
    match to {
        Type::Unknown => Ok(value),
        Type::Bool => boolean(value, explicit),
        Type::Int2 | Type::Int4 | Type::Int8 => integer(value, to),
        Type::Float4 | Type::Float8 => float(value, to),
        Type::Numeric(size) => fixed(float(value, to)?, size),
        Type::Text | Type::Varchar(None) => Ok(Value::Text(text(value))),
        Type::Varchar(Some(most)) | Type::Char(most) => limited(text(value), most, to, explicit),
        Type::Bytea => bytea(value),
        Type::Uuid => uuid(&text(value)),
        Type::Json | Type::Jsonb => match value {
            Value::Text(_) => Ok(value),
            other => Err(mismatch(&other, to)),
        },
        Type::Date | Type::Time | Type::Timestamp | Type::Timestamptz => match value {
            Value::Text(text) => moment(&text, to).map(Value::Text),
            other => Err(mismatch(&other, to)),
        },
    }
}

fn mismatch(value: &Value, to: Type) -> Failure {
    let from = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) => "bigint",
        Value::Float(_) => "double precision",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytea",
    };
    Failure::new(sqlstate::TYPE_MISMATCH, format!("a value of type {from} does not fit type {}", to.name()))
        .hint(format!("give a value of type {}", to.name()))
}

fn invalid(to: Type, text: &str) -> Failure {
    let message = format!("invalid input syntax for type {}: \"{text}\"", to.name());
    Failure::new(sqlstate::INVALID_TEXT, message).hint(match to {
        Type::Bool => "write true or false",
        Type::Int2 | Type::Int4 | Type::Int8 => "write a whole number, such as 42",
        Type::Uuid => "write it as 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
        Type::Bytea => "write two hexadecimal digits for each byte: '\\x0aff'",
        _ => "write a number, such as 1.5",
    })
}

fn out_of_range(to: Type) -> Failure {
    let hint = match to {
        Type::Int2 => "it goes from -32768 to 32767: use integer or bigint",
        Type::Int4 => "it goes from -2147483648 to 2147483647: use bigint",
        Type::Int8 => "it has 64 bits: use numeric or double precision",
        _ => "use double precision, or a smaller number",
    };
    Failure::new(sqlstate::OUT_OF_RANGE, format!("{} out of range", to.name())).hint(hint)
}

fn boolean(value: Value, explicit: bool) -> Result<Value> {
    match value {
        Value::Bool(_) => Ok(value),
        Value::Int(number) if explicit => Ok(Value::Bool(number != 0)),
        Value::Int(0) => Ok(Value::Bool(false)),
        Value::Int(1) => Ok(Value::Bool(true)),
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "yes" | "y" | "on" | "1" => Ok(Value::Bool(true)),
            "f" | "false" | "no" | "n" | "off" | "0" => Ok(Value::Bool(false)),
            _ => Err(invalid(Type::Bool, &text)),
        },
        other => Err(mismatch(&other, Type::Bool)),
    }
}

/// One more than the largest bigint.
const TWO_TO_63: f64 = (1_u64 << 63) as f64;

fn integer(value: Value, to: Type) -> Result<Value> {
    let number = match value {
        Value::Int(number) => number,
        Value::Bool(truth) => i64::from(truth),
        Value::Float(number) => {
            let rounded = libm::rint(number);
            if !(-TWO_TO_63..TWO_TO_63).contains(&rounded) {
                return Err(out_of_range(to));
            }
            rounded as i64
        }
        Value::Text(text) => match text.trim().parse::<i128>() {
            Ok(number) => i64::try_from(number).map_err(|_| out_of_range_of(&text, to))?,
            Err(_) => return Err(invalid(to, &text)),
        },
        other => return Err(mismatch(&other, to)),
    };
    let fits = match to {
        Type::Int2 => i16::try_from(number).is_ok(),
        Type::Int4 => i32::try_from(number).is_ok(),
        _ => true,
    };
    if fits { Ok(Value::Int(number)) } else { Err(out_of_range(to)) }
}

fn out_of_range_of(text: &str, to: Type) -> Failure {
    let message = format!("value \"{text}\" is out of range for type {}", to.name());
    Failure::new(sqlstate::OUT_OF_RANGE, message).hint("it has 64 bits: use numeric or double precision")
}

fn float(value: Value, to: Type) -> Result<Value> {
    let number = match value {
        Value::Float(number) => number,
        Value::Int(number) => number as f64,
        Value::Text(text) => {
            let number = text.trim().parse::<f64>().map_err(|_| invalid(to, &text))?;
            if !number.is_finite() {
                return Err(not_finite(&text, to));
            }
            number
        }
        other => return Err(mismatch(&other, to)),
    };
    let number = if to == Type::Float4 { f64::from(number as f32) } else { number };
    if number.is_finite() { Ok(Value::Float(number)) } else { Err(out_of_range(to)) }
}

/// `NaN`, `Infinity`, or a number that is too large.
fn not_finite(text: &str, to: Type) -> Failure {
    let message = format!("\"{}\" is out of range for type {}", text.trim(), to.name());
    Failure::new(sqlstate::OUT_OF_RANGE, message).hint("numbers are finite here: use NULL for an unknown one")
}

/// Rounds to the digits behind the point, half away from zero.
fn fixed(value: Value, size: Option<(u16, u16)>) -> Result<Value> {
    let (Value::Float(number), Some((precision, scale))) = (&value, size) else { return Ok(value) };
    let rounded = round(*number, i64::from(scale));
    let most = libm::pow(10.0, f64::from(precision - scale));
    if rounded.abs() >= most {
        let message = format!(
            "numeric field overflow: a field with precision {precision}, scale {scale} must round to an absolute \
             value less than 10^{}",
            precision - scale
        );
        return Err(Failure::new(sqlstate::OUT_OF_RANGE, message)
            .hint("give a smaller number, or the column more digits"));
    }
    Ok(Value::Float(rounded))
}

/// To `digits` behind the point, half away from zero.
pub(crate) fn round(number: f64, digits: i64) -> f64 {
    if digits > 15 || !number.is_finite() {
        return number;
    }
    // By its decimal digits: 1.005 is no tie in binary, and is one as it is written.
    let size = libm::pow(10.0, digits as f64);
    let scaled = number * size;
    let near: f64 = format!("{scaled:.6}").parse().unwrap_or(scaled);
    libm::round(near) / size
}

/// A value as text, as PostgreSQL writes it.
pub(crate) fn text(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => text,
        Value::Bytes(bytes) => {
            let mut text = String::from("\\x");
            for byte in bytes {
                text.push_str(&format!("{byte:02x}"));
            }
            text
        }
    }
}

fn limited(mut text: String, most: u32, to: Type, explicit: bool) -> Result<Value> {
    let most = most as usize;
    if let Some((end, _)) = text.char_indices().nth(most) {
        // Blanks behind the end are cut off in silence.
        if !explicit && !text[end..].chars().all(|c| c == ' ') {
            let message = format!("value too long for type {}({most})", to.name());
            return Err(Failure::new(sqlstate::STRING_TOO_LONG, message)
                .hint(format!("give at most {most} characters, or cut it by left(…, {most})")));
        }
        text.truncate(end);
    }
    Ok(Value::Text(text))
}

fn bytea(value: Value) -> Result<Value> {
    match value {
        Value::Bytes(_) => Ok(value),
        Value::Text(text) => {
            let Some(digits) = text.strip_prefix("\\x") else { return Ok(Value::Bytes(text.into_bytes())) };
            let digits: Option<Vec<u8>> =
                digits.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
            match digits {
                Some(digits) if digits.len() % 2 == 0 => {
                    Ok(Value::Bytes(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
                }
                _ => Err(invalid(Type::Bytea, &text)),
            }
        }
        other => Err(mismatch(&other, Type::Bytea)),
    }
}

fn uuid(text: &str) -> Result<Value> {
    let trimmed = text.trim().trim_start_matches('{').trim_end_matches('}');
    let digits: String = trimmed.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(invalid(Type::Uuid, text));
    }
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Ok(Value::Text(parts.join("-")))
}

fn moment(text: &str, to: Type) -> Result<String> {
    Ok(match to {
        Type::Time => time::time_text(time::time_of_day(text.trim(), text, to.name())?),
        Type::Date => time::date_text(time::parse_timestamp(text, to.name(), false)?),
        Type::Timestamp => time::timestamp_text(time::parse_timestamp(text, to.name(), false)?, false),
        _ => time::timestamp_text(time::parse_timestamp(text, to.name(), true)?, true),
    })
}
