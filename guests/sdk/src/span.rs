//! Spans of the service's own, under the SERVER span that the simulator records for each request.

use crate::Error;
use crate::bindings::simhost::service::tracing;

pub use tracing::{SpanContext, SpanKind, Status, Value};

/// A key and a value. [`attributes!`](crate::attributes!) makes an array of them.
pub type Attribute = (String, Value);

/// Attributes of a span, an event, a record or a value: `attributes!["order.item" => &item, "order.quantity" => 2]`.
#[macro_export]
macro_rules! attributes {
    ($($key:expr => $value:expr),* $(,)?) => {
        [$((String::from($key), $crate::AttributeValue::from($value))),*]
    };
}

/// A span that is current until it is dropped, which ends it.
///
/// ```no_run
/// # use simhost_sdk::prelude::*;
/// let span = Span::start("charge_payment");
/// span.set("payment.amount", 9.99).event("card.checked", attributes!["card.brand" => "visa"]);
/// ```
/// [`in_span`] also records an error that leaves the block.
pub struct Span {
    raw: tracing::Span,
}

impl Span {
    /// Starts a span of the kind internal, as a child of the current one.
    #[must_use = "a span that is not held ends at once"]
    pub fn start(name: &str) -> Self {
        Self { raw: tracing::Span::new(name, SpanKind::Internal, &[]) }
    }

    /// Describes a span before it starts: its kind, its first attributes.
    pub fn build(name: &str) -> SpanBuilder {
        SpanBuilder { name: name.to_owned(), kind: SpanKind::Internal, attributes: Vec::new() }
    }

    /// Sets an attribute, replacing the value that the key has.
    pub fn set(&self, key: &str, value: impl Into<Value>) -> &Self {
        self.set_all([(key.to_owned(), value.into())])
    }

    /// Sets several [attributes](crate::attributes!).
    pub fn set_all(&self, attributes: impl AsRef<[Attribute]>) -> &Self {
        self.raw.set_attributes(attributes.as_ref());
        self
    }

    /// Adds an event at this moment.
    pub fn event(&self, name: &str, attributes: impl AsRef<[Attribute]>) -> &Self {
        self.raw.add_event(name, attributes.as_ref());
        self
    }

    /// Adds an `exception` event, and leaves the status alone: for an error that was dealt with.
    pub fn exception(&self, kind: &str, message: &str) -> &Self {
        self.raw.record_error(kind, message);
        self
    }

    /// Adds an `exception` event and sets the status to error with the description `Kind: message`.
    pub fn error(&self, error: &Error) -> &Self {
        let message = error.to_string();
        self.raw.record_error(error.kind(), &message);
        self.status(Status::Error, &format!("{}: {message}", error.kind()))
    }

    /// Sets the status. Only an error has a description.
    pub fn status(&self, status: Status, description: &str) -> &Self {
        self.raw.set_status(status, description);
        self
    }

    /// Gives the span another name.
    pub fn rename(&self, name: &str) -> &Self {
        self.raw.update_name(name);
        self
    }

    /// The ids of the span.
    pub fn context(&self) -> SpanContext {
        self.raw.context()
    }

    /// Runs a block, records the error that leaves it, and ends.
    fn holding<T>(self, block: impl FnOnce(&Self) -> Result<T, Error>) -> Result<T, Error> {
        block(&self).inspect_err(|error| {
            self.error(error);
        })
    }
}

/// A span that has not started. It can be started any number of times.
#[derive(Clone, Debug)]
pub struct SpanBuilder {
    name: String,
    kind: SpanKind,
    attributes: Vec<Attribute>,
}

impl SpanBuilder {
    /// What the span stands for; internal if not said.
    pub fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    /// An attribute that the span has from its start.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.attributes.push((key.to_owned(), value.into()));
        self
    }

    /// Starts the span.
    #[must_use = "a span that is not held ends at once"]
    pub fn start(&self) -> Span {
        Span { raw: tracing::Span::new(&self.name, self.kind, &self.attributes) }
    }

    /// Runs a block in the span, as [`in_span`] does.
    ///
    /// # Errors
    /// Those of the block.
    pub fn run<T>(self, block: impl FnOnce(&Span) -> Result<T, Error>) -> Result<T, Error> {
        self.start().holding(block)
    }
}

/// Runs a block in a span. An error that leaves the block is recorded as an `exception` event and sets the span's
/// status, at every level that it crosses: `HttpError: 400: Quantity must be positive`.
///
/// ```no_run
/// # use simhost_sdk::prelude::*;
/// # fn main() -> Result<(), Error> {
/// # let quantity = 1;
/// in_span("validate_order", |span| {
///     span.set("order.quantity", quantity);
///     if quantity <= 0 { Err(Error::bad_request("Quantity must be positive")) } else { Ok(()) }
/// })?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// Those of the block.
pub fn in_span<T>(name: &str, block: impl FnOnce(&Span) -> Result<T, Error>) -> Result<T, Error> {
    Span::start(name).holding(block)
}

/// Sets [attributes](crate::attributes!) on the SERVER span of this request.
pub fn annotate(attributes: impl AsRef<[Attribute]>) {
    tracing::annotate(attributes.as_ref());
}

/// The ids of the current span: the innermost open one, or the SERVER span. There is none outside of a request.
pub fn current() -> Option<SpanContext> {
    tracing::current()
}

macro_rules! values {
    ($($type:ty => |$value:ident| $make:expr;)*) => {
        $(
            impl From<$type> for Value {
                fn from($value: $type) -> Self {
                    $make
                }
            }
        )*
    };
}

values! {
    &str => |value| Self::Text(value.to_owned());
    &String => |value| Self::Text(value.clone());
    String => |value| Self::Text(value);
    bool => |value| Self::Bool(value);
    i8 => |value| Self::Int(value.into());
    i16 => |value| Self::Int(value.into());
    i32 => |value| Self::Int(value.into());
    i64 => |value| Self::Int(value);
    u8 => |value| Self::Int(value.into());
    u16 => |value| Self::Int(value.into());
    u32 => |value| Self::Int(value.into());
    // What exceeds an attribute's range is as large as it can be, not negative.
    u64 => |value| Self::Int(value.try_into().unwrap_or(i64::MAX));
    usize => |value| Self::Int(value.try_into().unwrap_or(i64::MAX));
    f32 => |value| Self::Float(value.into());
    f64 => |value| Self::Float(value);
    Vec<String> => |value| Self::Texts(value);
    &[&str] => |value| Self::Texts(value.iter().map(|text| (*text).to_owned()).collect());
    Vec<i64> => |value| Self::Ints(value);
    &[i64] => |value| Self::Ints(value.to_vec());
}

#[cfg(test)]
mod tests {

    #[test]
    fn values_of_rust_become_values_of_attributes() {
        let text = String::from("book");
        let attributes = attributes!["a" => &text, "b" => 2, "c" => true, "d" => 0.5, "e" => u64::MAX];
        let shown: Vec<String> = attributes.iter().map(|(key, value)| format!("{key} {value:?}")).collect();
        assert_eq!(
            shown,
            [
                "a Value::Text(\"book\")",
                "b Value::Int(2)",
                "c Value::Bool(true)",
                "d Value::Float(0.5)",
                "e Value::Int(9223372036854775807)"
            ]
        );
    }
}
