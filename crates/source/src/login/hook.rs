//! A program of the user's that logs in by itself.

use super::{LoginError, pasted_token};
use crate::{Secret, Url};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// Longest output that is read.
const LONGEST: u64 = 8 * 1024;

/// What a program printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookToken {
    /// To be exchanged.
    Request(Secret),
    /// Ready to be used.
    Access(Secret),
}

/// Runs a program, without a shell, and reads what it prints: a request token, the address that a browser would be sent to,
/// `request_token=…`, or `access_token=…`; the first line that is not empty counts. It finds the API key in
/// `KITE_API_KEY` and the address of the login page in `KITE_LOGIN_URL`; its standard error is ours.
///
/// # Errors
/// [`LoginError::Hook`] when it can't be run, fails, or takes longer than `patience` (then it is killed);
/// [`LoginError::NoToken`]; [`LoginError::OtherLogin`] for an address that `page` did not lead to.
pub async fn run_hook(
    command: &[String],
    api_key: &str,
    page: &Url,
    patience: Duration,
) -> Result<HookToken, LoginError> {
    let (program, arguments) =
        command.split_first().ok_or(LoginError::NoToken("an empty kite.login_command"))?;
    let failed = |problem: String| LoginError::Hook { program: program.clone(), problem };
    let mut child = Command::new(program)
        .args(arguments)
        .env("KITE_API_KEY", api_key)
        .env("KITE_LOGIN_URL", page.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("it can't be run: {error}")))?;
    let output = child.stdout.take().ok_or_else(|| failed("it has no output".to_owned()))?;
    let run = async {
        let mut text = String::new();
        let read = output.take(LONGEST).read_to_string(&mut text).await;
        read.map_err(|error| failed(format!("its output can't be read: {error}")))?;
        let status = child.wait().await.map_err(|error| failed(error.to_string()))?;
        if status.success() { Ok(text) } else { Err(failed(format!("it ended with {status}"))) }
    };
    let ran = tokio::time::timeout(patience, run).await;
    let text =
        ran.unwrap_or_else(|_| Err(failed(format!("it took longer than {} s", patience.as_secs()))))?;
    token_in(&text, state_of(page).as_deref())
}

/// The `state` that the login page sends the browser back with.
fn state_of(page: &Url) -> Option<String> {
    let (_, parameters) = page.query_pairs().find(|(name, _)| name == "redirect_params")?;
    parameters.strip_prefix("state=").map(str::to_owned)
}

fn token_in(text: &str, state: Option<&str>) -> Result<HookToken, LoginError> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = line.ok_or(LoginError::NoToken("the output of kite.login_command"))?;
    if let Some(token) = line.strip_prefix("access_token=") {
        return pasted_token(token, state).map(HookToken::Access);
    }
    pasted_token(line.strip_prefix("request_token=").unwrap_or(line), state).map(HookToken::Request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::{KITE_LOGIN, login_url};

    async fn hook(script: &str, patience: Duration) -> Result<HookToken, LoginError> {
        let command = ["sh", "-c", script].map(str::to_owned);
        let page = login_url(KITE_LOGIN, "key1", "s1", None).unwrap();
        run_hook(&command, "key1", &page, patience).await
    }

    #[tokio::test]
    async fn what_programs_print() {
        let soon = Duration::from_secs(20);
        let request = |text: &str| HookToken::Request(Secret::new(text));
        assert_eq!(hook("echo; echo abc; echo more", soon).await.unwrap(), request("abc"));
        assert_eq!(hook("echo request_token=$KITE_API_KEY", soon).await.unwrap(), request("key1"));
        assert_eq!(hook("echo access_token=xyz", soon).await.unwrap(), HookToken::Access(Secret::new("xyz")));
        assert_eq!(
            hook("echo 'http://h/?status=success&request_token=q'", soon).await.unwrap(),
            request("q")
        );
        let own = "echo 'http://h/?status=success&request_token=q&state=s1'";
        assert_eq!(hook(own, soon).await.unwrap(), request("q"));
        for (script, problem) in [
            ("echo 'http://h/?status=success&request_token=q&state=s2'", "another login"),
            ("exit 3", "it ended with exit status: 3"),
            ("true", "holds no request token"),
            ("yes a b", "kite.login_command"),
        ] {
            let error = hook(script, soon).await.unwrap_err().to_string();
            assert!(error.contains(problem), "{script}: {error}");
        }
        let error = hook("sleep 60", Duration::from_millis(50)).await.unwrap_err().to_string();
        assert!(error.contains("took longer"), "{error}");
        let missing = ["/no/such/program".to_owned()];
        let page: Url = "https://h/".parse().unwrap();
        assert!(run_hook(&missing, "k", &page, soon).await.unwrap_err().to_string().contains("can't be run"));
    }
}
