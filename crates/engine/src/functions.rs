//! One pool actor per registered function: it holds the invoker of the function as it is set now, and replaces it when
//! the function changes. A function of AWS Lambda that is not registered has nothing behind its invoker, and so no actor:
//! the consumers that call it share the invoker, and it goes with the last of them.

use crate::context::Context;
use crate::task::Owned;
use millstream_ports::{InvokeFactory, Invoker, PoolStatus};
use millstream_types::{Function, FunctionName, FunctionRef, LambdaFunction, Mapping, Namespace, Wall};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// How long an invoker that was replaced may finish what it runs, beyond the function's own timeout.
const REPLACED_GRACE: Duration = Duration::from_secs(5);
/// Longest run of a function of AWS Lambda. Its own timeout is Lambda's to keep, and its invoker's to wait for.
const LONGEST_RUN: Duration = Duration::from_mins(15);

/// Names a function.
pub(crate) type FunctionKey = (Namespace, FunctionName);

/// The function as workers see it.
#[derive(Clone)]
pub(crate) struct Pool {
    pub(crate) invoker: Arc<dyn Invoker>,
    pub(crate) timeout: Duration,
}

/// The invokers of all functions, readable by any worker without asking an actor.
#[derive(Default)]
pub(crate) struct Pools {
    pools: Mutex<BTreeMap<FunctionKey, Result<Pool, String>>>,
    lambda: Mutex<BTreeMap<LambdaFunction, Weak<dyn Invoker>>>,
}

/// What the attempts of one consumer call.
pub(crate) enum Callee {
    /// A registered function, as it is set at each attempt.
    Registered(FunctionKey),
    /// A function of AWS Lambda, or why it cannot be called, for people.
    Lambda(Result<Pool, String>),
}

impl Callee {
    /// What a mapping names.
    pub(crate) fn of(mapping: &Mapping, context: &Context) -> Self {
        match &mapping.spec.function {
            FunctionRef::Registered(name) => Self::Registered((mapping.namespace.clone(), name.clone())),
            FunctionRef::Lambda(function) => {
                Self::Lambda(context.pools.lambda(function, &*context.ports.functions))
            }
        }
    }

    /// The function as it is set now, or why it cannot be called, for people.
    pub(crate) fn pool(&self, context: &Context) -> Result<Pool, String> {
        match self {
            Self::Registered((namespace, name)) => context.pools.get(namespace, name),
            Self::Lambda(pool) => pool.clone(),
        }
    }
}

impl Pools {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<FunctionKey, Result<Pool, String>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The function's pool, or why there is none, for people.
    pub(crate) fn get(&self, namespace: &Namespace, function: &FunctionName) -> Result<Pool, String> {
        let missing = || {
            Err(format!(
                "function {function} does not exist in namespace {namespace}"
            ))
        };
        self.lock()
            .get(&(namespace.clone(), function.clone()))
            .cloned()
            .unwrap_or_else(missing)
    }

    /// The invoker of a function of AWS Lambda, which all that hold it share.
    fn lambda(&self, function: &LambdaFunction, factory: &dyn InvokeFactory) -> Result<Pool, String> {
        let mut kept = self.lambda.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = |invoker| Pool {
            invoker,
            timeout: LONGEST_RUN,
        };
        if let Some(invoker) = kept.get(function).and_then(Weak::upgrade) {
            return Ok(pool(invoker));
        }
        kept.retain(|_, invoker| invoker.strong_count() > 0);
        let invoker = factory.lambda(function)?;
        kept.insert(function.clone(), Arc::downgrade(&invoker));
        Ok(pool(invoker))
    }

    pub(crate) fn status(&self, namespace: &Namespace, function: &FunctionName) -> PoolStatus {
        self.get(namespace, function)
            .map_or_else(|_| PoolStatus::default(), |pool| pool.invoker.status())
    }

    /// What runs behind every function that can be called.
    pub(crate) fn statuses(&self) -> Vec<(FunctionKey, PoolStatus)> {
        let pools: Vec<(FunctionKey, Pool)> = self
            .lock()
            .iter()
            .filter_map(|(key, pool)| Some((key.clone(), pool.as_ref().ok()?.clone())))
            .collect();
        pools
            .into_iter()
            .map(|(key, pool)| (key, pool.invoker.status()))
            .collect()
    }

    fn replace(&self, key: &FunctionKey, pool: Option<Result<Pool, String>>) -> Option<Pool> {
        let mut pools = self.lock();
        let old = match pool {
            Some(pool) => pools.insert(key.clone(), pool),
            None => pools.remove(key),
        };
        old.and_then(Result::ok)
    }
}

/// What a pool actor is told.
pub(crate) enum PoolMsg {
    /// The function is now set so.
    Configure(Box<Function>),
    /// The function was removed, or the node stops: end what runs behind it.
    Close(Option<RpcReplyPort<()>>),
}

/// Owns the invoker of one function.
pub(crate) struct FunctionPool;

/// Its state.
pub(crate) struct PoolState {
    context: Arc<Context>,
    key: FunctionKey,
    revision: u64,
    /// Which version the invoker is of, by when the function was made and its generation.
    served: Option<(Wall, u64)>,
    retiring: Vec<Owned>,
}

impl Actor for FunctionPool {
    type Msg = PoolMsg;
    type State = PoolState;
    type Arguments = (Arc<Context>, Function);

    async fn pre_start(
        &self,
        _: ActorRef<PoolMsg>,
        (context, function): (Arc<Context>, Function),
    ) -> Result<PoolState, ActorProcessingErr> {
        let key = (function.namespace.clone(), function.name.clone());
        let mut state = PoolState {
            context,
            key,
            revision: 0,
            served: None,
            retiring: Vec::new(),
        };
        state.configure(&function);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<PoolMsg>,
        message: PoolMsg,
        state: &mut PoolState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            PoolMsg::Configure(function) => state.configure(&function),
            PoolMsg::Close(reply) => {
                let old = state.context.pools.replace(&state.key, None);
                // Not owned: the actor ends at once, the processes get their time.
                tokio::spawn(async move {
                    if let Some(old) = old {
                        old.invoker.close().await;
                    }
                    if let Some(reply) = reply {
                        let _ = reply.send(());
                    }
                });
                myself.stop(None);
            }
        }
        Ok(())
    }
}

impl PoolState {
    fn configure(&mut self, function: &Function) {
        if function.revision <= self.revision {
            return;
        }
        self.revision = function.revision;
        let version = Some((function.created, function.generation));
        if std::mem::replace(&mut self.served, version) == version {
            return;
        }
        let timeout = Duration::from_millis(function.spec.timeout_ms.into());
        let pool = self
            .context
            .ports
            .functions
            .invoker(function)
            .map(|invoker| Pool { invoker, timeout });
        if let Err(why) = &pool {
            tracing::warn!(namespace = %self.key.0, function = %self.key.1, why, "function cannot be served");
        }
        if let Some(old) = self.context.pools.replace(&self.key, Some(pool)) {
            self.retire(old);
        }
    }

    /// Lets running invocations end, then closes; by then every new attempt uses the new invoker.
    fn retire(&mut self, old: Pool) {
        let clock = self.context.ports.clock.clone();
        self.retiring.push(Owned::spawn(async move {
            let until = clock.now().mono.plus(old.timeout).plus(REPLACED_GRACE);
            while old.invoker.status().in_flight > 0 && clock.now().mono < until {
                clock
                    .sleep_until(clock.now().mono.plus(Duration::from_millis(50)))
                    .await;
            }
            old.invoker.close().await;
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use millstream_ports::Body;
    use millstream_types::{Invocation, Outcome};
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    struct Nobody;

    #[async_trait]
    impl Invoker for Nobody {
        fn body(&self) -> Body {
            Body::Json
        }
        async fn invoke(&self, _: Invocation) -> Outcome {
            Outcome::Throttled { retry_after: None }
        }
        fn status(&self) -> PoolStatus {
            PoolStatus::default()
        }
        async fn close(&self) {}
    }

    /// Counts what it makes.
    #[derive(Default)]
    struct Counting(AtomicU32);

    impl InvokeFactory for Counting {
        fn invoker(&self, function: &Function) -> Result<Arc<dyn Invoker>, String> {
            Err(function.name.to_string())
        }
        fn lambda(&self, _: &LambdaFunction) -> Result<Arc<dyn Invoker>, String> {
            self.0.fetch_add(1, SeqCst);
            Ok(Arc::new(Nobody))
        }
    }

    #[test]
    fn consumers_share_an_invoker_of_lambda_which_goes_with_the_last() {
        let (pools, factory) = (Pools::default(), Counting::default());
        let (orders, bills) = (
            LambdaFunction::named("orders:live"),
            LambdaFunction::named("bills"),
        );
        let made = || factory.0.load(SeqCst);
        let one = pools.lambda(&orders, &factory).unwrap();
        let other = pools.lambda(&orders, &factory).unwrap();
        assert!(Arc::ptr_eq(&one.invoker, &other.invoker));
        assert_eq!(made(), 1);
        drop((one, other));
        let _bills = pools.lambda(&bills, &factory).unwrap();
        let kept = pools.lambda.lock().unwrap().len();
        assert_eq!((made(), kept), (2, 1), "nothing is left of the first");
    }
}
