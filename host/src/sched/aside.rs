//! Work that takes long, beside the world.

use std::cell::OnceCell;
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use super::Sched;

/// Does one piece of work after the other. In virtual time it does so at once, while time stands still; in
/// real time on a thread of its own, so that nobody else has to wait.
pub struct Aside {
    sched: Sched,
    /// What the thread is called.
    name: String,
    /// Where the thread takes its work from; none if there is no thread to be had.
    thread: OnceCell<Option<mpsc::Sender<Job>>>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Aside {
    pub const fn new(sched: Sched, name: String) -> Self {
        Self { sched, name, thread: OnceCell::new() }
    }

    /// Has this done, and waits for what comes of it. Who gives up waiting leaves it to be done all the same,
    /// or to be dropped if it has not begun.
    ///
    /// # Panics
    /// If the work does.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        if self.sched.is_virtual() {
            return work();
        }
        let (send, receive) = oneshot::channel();
        self.hand_over(Box::new(move || {
            if !send.is_closed() {
                // Who has given up meanwhile wants nothing of it.
                send.send(work()).ok();
            }
        }));
        receive.await.expect("work that panics has said why")
    }

    /// Has this done; nobody waits for it.
    pub fn give(&self, work: impl FnOnce() + Send + 'static) {
        if self.sched.is_virtual() {
            return work();
        }
        self.hand_over(Box::new(work));
    }

    fn hand_over(&self, job: Job) {
        let thread = self.thread.get_or_init(|| {
            let (send, receive) = mpsc::channel::<Job>();
            let begun = thread::Builder::new().name(self.name.clone()).spawn(move || {
                receive.into_iter().for_each(|job| job());
            });
            begun.ok().map(|_| send)
        });
        let refused = match thread {
            Some(thread) => thread.send(job).err().map(|refused| refused.0),
            None => Some(job),
        };
        // A system that gives no thread lets others wait.
        if let Some(job) = refused {
            job();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;
    use crate::clock::{Clock, VIRTUAL_START};

    #[test]
    fn in_virtual_time_work_is_done_at_once_and_takes_none() {
        let sched = Sched::new(Clock::virtual_from(VIRTUAL_START));
        let aside = Aside::new(sched.clone(), "aside".to_owned());
        let here = thread::current().id();
        let done = sched.block_on(aside.run(move || thread::current().id() == here), || {});
        assert!(done.expect("it ends"), "on this thread");
        assert_eq!(sched.now(), VIRTUAL_START);
    }

    #[test]
    fn in_real_time_others_go_on_while_work_is_done() {
        let sched = Sched::new(Clock::real(1.0));
        let aside = Rc::new(Aside::new(sched.clone(), "aside".to_owned()));
        let (tell, told) = mpsc::channel();
        let work = {
            let aside = Rc::clone(&aside);
            // It ends when the other task has had its turn: on one thread it never would.
            async move { aside.run(move || told.recv_timeout(Duration::from_secs(60)).is_ok()).await }
        };
        sched.spawn({
            let sched = sched.clone();
            async move {
                sched.sleep(1_000_000).await;
                tell.send(()).ok();
            }
        });
        assert!(sched.block_on(work, || {}).expect("it ends"));
    }
}
