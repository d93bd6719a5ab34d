//! Closures of the embedding program as functions.

mod batch;
mod invoker;
mod window;

pub use batch::{Batch, BoxError, CallContext, Item, JsonEvent, Response};
use batch::{Items, Told};
pub(crate) use invoker::ClosureInvoker;
pub use window::Window;

use bytes::Bytes;
use futures::future::BoxFuture;
use millstream_ports::Body;
use millstream_types::{FunctionName, Namespace, Outcome, Payload};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// A registered closure behind one signature.
pub(crate) trait Handler: Send + Sync + 'static {
    /// In which form it wants a batch.
    fn body(&self) -> Body;
    /// Runs the closure once. Panics of the closure are the caller's to catch.
    fn call(&self, payload: Payload, context: CallContext) -> BoxFuture<'static, Outcome>;
}

/// The closures that an embedding program registered, by function name.
#[derive(Default)]
pub struct InProcess {
    handlers: RwLock<BTreeMap<(Namespace, FunctionName), Arc<dyn Handler>>>,
}

impl InProcess {
    /// No closures yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a closure that takes typed records or messages over shared bytes. A closure registered before under the
    /// same name is replaced for invokers made from now on.
    ///
    /// An `Err` fails the whole batch; which records failed is said with [`Response::failed`].
    pub fn register<F, Fut, R, E>(&self, namespace: Namespace, name: FunctionName, closure: F)
    where
        F: Fn(Batch) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Response> + 'static,
        E: Into<BoxError> + 'static,
    {
        self.insert(namespace, name, Arc::new(ItemsHandler(closure)));
    }

    /// Registers a closure that takes the Lambda event as JSON and answers with the bytes of a Lambda response.
    pub fn register_json<F, Fut, E>(&self, namespace: Namespace, name: FunctionName, closure: F)
    where
        F: Fn(JsonEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.insert(namespace, name, Arc::new(JsonHandler(closure)));
    }

    fn insert(&self, namespace: Namespace, name: FunctionName, handler: Arc<dyn Handler>) {
        let mut handlers = self.handlers.write().unwrap_or_else(PoisonError::into_inner);
        handlers.insert((namespace, name), handler);
    }

    pub(crate) fn find(&self, namespace: &Namespace, name: &FunctionName) -> Option<Arc<dyn Handler>> {
        let handlers = self.handlers.read().unwrap_or_else(PoisonError::into_inner);
        handlers.get(&(namespace.clone(), name.clone())).cloned()
    }
}

struct ItemsHandler<F>(F);

impl<F, Fut, R, E> Handler for ItemsHandler<F>
where
    F: Fn(Batch) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, E>> + Send + 'static,
    R: Into<Response> + 'static,
    E: Into<BoxError> + 'static,
{
    fn body(&self) -> Body {
        Body::Records
    }

    fn call(&self, payload: Payload, context: CallContext) -> BoxFuture<'static, Outcome> {
        let items = match payload {
            Payload::Records(records) => Items::Records(records),
            Payload::Messages(messages) => Items::Messages(messages),
            Payload::Json(_) => return wrong_form("records or messages"),
        };
        let told = Arc::<Told>::default();
        let future = (self.0)(Batch::new(items.clone(), context, Arc::clone(&told)));
        Box::pin(async move {
            match future.await {
                Ok(response) => batch::outcome(response.into(), &items, &told),
                Err(error) => batch::raised(error.into().as_ref()),
            }
        })
    }
}

struct JsonHandler<F>(F);

impl<F, Fut, E> Handler for JsonHandler<F>
where
    F: Fn(JsonEvent) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Bytes, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    fn body(&self) -> Body {
        Body::Json
    }

    fn call(&self, payload: Payload, context: CallContext) -> BoxFuture<'static, Outcome> {
        let Payload::Json(event) = payload else {
            return wrong_form("JSON");
        };
        let future = (self.0)(JsonEvent::new(event, context));
        Box::pin(async move {
            match future.await {
                Ok(response) => batch::bounded(response),
                Err(error) => batch::raised(error.into().as_ref()),
            }
        })
    }
}

/// The caller ignored [`Handler::body`]: the code did not run.
fn wrong_form(wanted: &str) -> BoxFuture<'static, Outcome> {
    let reason = format!("the function takes {wanted}, and was given another form of the batch");
    Box::pin(std::future::ready(Outcome::Unreachable { reason }))
}
