//! Functions as handlers: what turns `fn(Json<Order>) -> Result<…>` into the code of a route.

use crate::extract::{Context, FromContext, States};
use crate::http::{IntoResponse, Response};
use std::marker::PhantomData;

/// A function of up to five [extractors](crate::extract) that gives something that [is a response](IntoResponse).
///
/// `A` is the tuple of its arguments; it is always inferred.
pub trait Handler<A>: 'static {
    /// Takes the arguments from the request, calls the function, and makes a response of what it gives.
    fn respond(&self, context: &Context) -> Response;

    /// The type of a [`State`](crate::extract::State) argument that the router does not have.
    fn missing_state(&self, states: &States) -> Option<&'static str>;
}

macro_rules! functions {
    ($($argument:ident)*) => {
        #[allow(non_snake_case, unused_variables, reason = "the names stand for types and for their values")]
        impl<F, R, $($argument,)*> Handler<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> R + 'static,
            R: IntoResponse,
            $($argument: FromContext,)*
        {
            fn respond(&self, context: &Context) -> Response {
                $(
                    let $argument = match $argument::from_context(context) {
                        Ok(argument) => argument,
                        Err(error) => return error.into_response(),
                    };
                )*
                self($($argument),*).into_response()
            }

            fn missing_state(&self, states: &States) -> Option<&'static str> {
                None$(.or_else(|| $argument::missing_state(states)))*
            }
        }
    };
}

functions!();
functions!(A);
functions!(A B);
functions!(A B C);
functions!(A B C D);
functions!(A B C D E);

/// A handler whose arguments' types are forgotten.
pub(crate) trait Endpoint {
    fn respond(&self, context: &Context) -> Response;
    fn missing_state(&self, states: &States) -> Option<&'static str>;
}

/// A handler that still knows its arguments' types, which are part of its [`Handler`] implementation.
pub(crate) struct Bound<H, A>(H, PhantomData<A>);

impl<H: Handler<A>, A: 'static> Bound<H, A> {
    pub fn endpoint(handler: H) -> Box<dyn Endpoint> {
        Box::new(Self(handler, PhantomData))
    }
}

impl<H: Handler<A>, A> Endpoint for Bound<H, A> {
    fn respond(&self, context: &Context) -> Response {
        self.0.respond(context)
    }

    fn missing_state(&self, states: &States) -> Option<&'static str> {
        self.0.missing_state(states)
    }
}
