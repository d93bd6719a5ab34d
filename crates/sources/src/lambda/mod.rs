//! Functions of AWS Lambda, or of what speaks its protocol: each event is the payload of an `Invoke` that is waited for
//! (`RequestResponse`).
//!
//! What an invocation ends as follows the rule of all targets: **it counts as an attempt if the function may have run.**
//!
//! | what happened | outcome |
//! |---|---|
//! | 200 without `X-Amz-Function-Error` | the payload is the response, at most 6,291,556 bytes; more is not read |
//! | 200 with it | function error by the type that the payload tells; `Task timed out` is a timeout |
//! | a throttle, for whatever reason; the function is being changed; its network is not ready | throttled, for as long as `Retry-After` says (at most a minute) |
//! | the event is too large, or no JSON | function error: it will never run with this event |
//! | no such function, no permission, a request that is refused, 5xx | unreachable |
//! | no connection, no TLS, no credentials | unreachable |
//! | the connection broke after the request was on its way | function error: the code may have run |
//! | no complete answer within the function's timeout and ten seconds | timeout; the function may go on where it is |
//!
//! The ten seconds are Lambda's own limit for the start of a runtime, which no timeout of a function contains. The SDK
//! tries nothing again by itself: when, and whether it counts, is the engine's to decide.
//!
//! A function that a mapping names without its being registered here is looked for when it is named
//! (`GetFunctionConfiguration`), and Lambda's timeout is the one that counts. It may be changed there at any time; so an
//! answer that is late is waited for longer if Lambda says by then that it may be.

mod bounded;
mod find;
mod invoker;
mod outcome;

pub use invoker::LambdaFunctions;
