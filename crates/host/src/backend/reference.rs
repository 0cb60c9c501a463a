//! The reference engine as a backend: deterministic, on the CPU, many sequences at once.
//!
//! A generation that is asked for a token queues one unit of work: a stretch of its prompt or one
//! token. Workers take units in the order they were asked for, so every session that waits gets
//! its turn, and a session that does not ask costs nothing. Each unit computes one sequence alone,
//! which is what makes its result the same whatever else runs.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use async_trait::async_trait;
use capstan_model::{
    Finish, Generation as Sampled, GenerationParams, Model, Sampling, Step as Progress,
};
use capstan_wire::session::FinishReason;
use tokio::sync::oneshot;

use super::{Backend, BackendError, GenerateRequest, GeneratedToken, Generation, Step};

/// A sequence that comes back from a worker; no step if it took in a stretch of its prompt.
type Worked = (Box<Sampled>, Result<Option<Step>, BackendError>);

struct Unit {
    sampled: Box<Sampled>,
    done: oneshot::Sender<Worked>,
}

/// Worker threads around one model.
pub struct ReferenceBackend {
    model: Arc<Model>,
    units: mpsc::Sender<Unit>,
}

impl ReferenceBackend {
    /// Starts `workers` threads; they end when the backend and its generations are dropped.
    pub fn start(model: Arc<Model>, workers: usize) -> std::io::Result<Self> {
        let (units, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..workers.max(1) {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("reference-{number}"))
                .spawn(move || work(&queue))?;
        }
        Ok(Self { model, units })
    }
}

fn work(queue: &Mutex<mpsc::Receiver<Unit>>) {
    loop {
        // Only the receive is under the lock; a poisoned lock still guards a sound queue.
        let unit = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Unit { mut sampled, done }) = unit else { return };
        let step = match sampled.advance() {
            Ok(Progress::Prefill { .. }) => Ok(None),
            Ok(Progress::Token(token)) => Ok(Some(Step::Token(GeneratedToken {
                id: token.id,
                logprob: Some(f64::from(token.logprob)),
            }))),
            Ok(Progress::Finished(finish)) => Ok(Some(Step::Finished(match finish {
                Finish::Stop => FinishReason::Stop,
                Finish::Length | Finish::Context => FinishReason::Length,
            }))),
            Err(error) => Err(BackendError::Failed(error.to_string())),
        };
        // A dropped receiver is a cancelled generation; its sequence is dropped here.
        let _ = done.send((sampled, step));
    }
}

#[async_trait]
impl Backend for ReferenceBackend {
    async fn start(&self, request: GenerateRequest) -> Result<Box<dyn Generation>, BackendError> {
        let refused = |error: capstan_model::Error| BackendError::Refused(error.to_string());
        let sampling = Sampling::new(request.temperature, request.top_p, request.seed);
        let params = GenerationParams {
            max_tokens: usize::try_from(request.max_tokens).unwrap_or(usize::MAX),
            sampling: sampling.map_err(refused)?,
        };
        let sampled =
            Sampled::new(Arc::clone(&self.model), request.prompt, params).map_err(refused)?;
        Ok(Box::new(Queued { units: self.units.clone(), state: State::Idle(Box::new(sampled)) }))
    }

    fn name(&self) -> &'static str {
        "reference"
    }
}

enum State {
    Idle(Box<Sampled>),
    Working(oneshot::Receiver<Worked>),
    Lost,
}

/// A generation whose sequence is either here or with a worker.
struct Queued {
    units: mpsc::Sender<Unit>,
    state: State,
}

#[async_trait]
impl Generation for Queued {
    async fn next(&mut self) -> Result<Step, BackendError> {
        let gone = || BackendError::Unavailable("the engine's workers are gone".into());
        loop {
            self.state = match core::mem::replace(&mut self.state, State::Lost) {
                State::Idle(sampled) => {
                    let (done, receiver) = oneshot::channel();
                    self.units.send(Unit { sampled, done }).map_err(|_| gone())?;
                    State::Working(receiver)
                }
                other => other,
            };
            // The receiver stays in `self` while it is waited for: that makes this cancel safe.
            let State::Working(receiver) = &mut self.state else { return Err(gone()) };
            let (sampled, step) = receiver.await.map_err(|_| gone())?;
            self.state = State::Idle(sampled);
            if let Some(step) = step? {
                return Ok(step);
            }
        }
    }
}
