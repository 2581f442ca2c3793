//! The runs of the daemon: each is a task that reports once when it exists, and once when it has ended.

use std::process::Child;

use jiff::Timestamp;
use schemas::{exit_code::ExitCode, schedule::Schedule, view::RunStatus};
use tokio::sync::{mpsc, oneshot};
use workflow_engine::scheduler::Event;

use super::{
    serve::News,
    start::{self, Surroundings},
};
use crate::{
    errors::Result,
    fold,
    signal::Process,
    store::{
        home::{Home, RunDir},
        lock,
        names::RunId,
    },
};

/// Starts a run, and reports.
pub(super) fn start(
    home: &Home,
    schedule: Schedule,
    run: RunId,
    at: Timestamp,
    surroundings: Surroundings,
    news: &mpsc::UnboundedSender<News>,
) {
    let (home, news) = (home.clone(), news.clone());
    tokio::task::spawn_local(async move {
        let tell = |event: Event| drop(news.send(News::Event(event)));
        let dir = home.run(run);
        let start = move || start::start(&home, &schedule, run, at, &surroundings);
        let starting = tokio::task::spawn_blocking(start).await;
        let error = match starting {
            Ok(Ok(child)) => {
                tell(Event::Started { run: run.to_string() });
                let status = child_ended(child).await;
                return tell(Event::Ended { run: run.to_string(), status });
            }
            Ok(Err(error)) => error.render(),
            Err(error) => format!("error: {error}\n"),
        };
        // A daemon that died a moment ago may have started it: then it is there.
        if dir.journal().exists() {
            tell(Event::Started { run: run.to_string() });
            let status = free(dir).await;
            return tell(Event::Ended { run: run.to_string(), status });
        }
        drop(news.send(News::Words(error)));
        tell(Event::Ended { run: run.to_string(), status: None });
    });
}

/// Goes on with a run of the daemon before, and reports its end.
pub(super) fn adopt(
    dir: RunDir,
    home: &Home,
    surroundings: Surroundings,
    news: &mpsc::UnboundedSender<News>,
) {
    let (home, news) = (home.clone(), news.clone());
    tokio::task::spawn_local(async move {
        let run = dir.id();
        let mut status = free(dir.clone()).await;
        if status == Some(RunStatus::Interrupted) {
            let resume = move || start::resume(&home, run, &surroundings);
            status = match tokio::task::spawn_blocking(resume).await {
                Ok(Ok(child)) => child_ended(child).await,
                Ok(Err(_)) | Err(_) => status,
            };
        }
        drop(news.send(News::Event(Event::Ended { run: run.to_string(), status })));
    });
}

/// Waits for the end of an engine that we started.
async fn child_ended(mut child: Child) -> Option<RunStatus> {
    if let Ok(process) = i32::try_from(child.id()).map_err(std::io::Error::other).and_then(Process::open) {
        // If it cannot be waited for like this, the call below does.
        let _waited_below = process.ended().await;
    }
    let code = child.wait().ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    let exit = ExitCode::TABLE.iter().map(|(exit, _)| *exit).find(|exit| Some(exit.code()) == code);
    Some(match exit {
        Some(ExitCode::Done) => RunStatus::Completed,
        Some(ExitCode::RolledBack) => RunStatus::RolledBack,
        Some(ExitCode::RollbackFailed) => RunStatus::RollbackFailed,
        Some(ExitCode::Cancelled | ExitCode::SigInt | ExitCode::SigTerm) => RunStatus::Cancelled,
        // Killed, or its disk failed: it could go on.
        Some(ExitCode::Engine | ExitCode::Interrupted) | None => RunStatus::Interrupted,
        Some(
            ExitCode::Failed
            | ExitCode::Usage
            | ExitCode::Invalid
            | ExitCode::NotFound
            | ExitCode::Isolation
            | ExitCode::Active,
        ) => RunStatus::Failed,
    })
}

/// Waits until nobody owns a run, and tells how it stands. The wait is for a lock, so it has a thread.
async fn free(dir: RunDir) -> Option<RunStatus> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let status: Result<_> = match lock::wait_until_free(&dir) {
            Ok(()) => fold::current_view(&dir).map(|view| view.status),
            Err(error) => Err(crate::errors::CommandError::from_error(ExitCode::Engine, &error)),
        };
        // The daemon may be gone.
        let _gone = sender.send(status.ok());
    });
    receiver.await.ok().flatten()
}
