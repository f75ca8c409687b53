//! Says what is being waited for, on stderr, once that takes longer than half a second.

use std::future::Future;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const PATIENCE: Duration = Duration::from_millis(500);

/// Runs `work`; when it is not done after half a second, shows `message` (a spinner on a terminal, else one line).
pub(crate) async fn during<T>(message: &str, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        // Polled again below when the timer wins, so nothing is lost.
        done = &mut work => return done,
        () = tokio::time::sleep(PATIENCE) => {}
    }
    if !std::io::stderr().is_terminal() {
        eprintln!("{message} …");
        return work.await;
    }
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("the template is valid");
    let spinner = ProgressBar::new_spinner().with_style(style).with_message(message.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    let done = work.await;
    spinner.finish_and_clear();
    done
}
