//! What can go wrong with a REST call, and what to do about it.

use std::fmt;

/// Kite's `error_type`. Decide on it, not on the HTTP status: Kite does not pair them reliably.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorType {
    /// The access token is missing, wrong or expired.
    Token,
    /// The account may not do this (market data needs the paid plan).
    Permission,
    /// The user's account.
    User,
    /// A parameter is missing or wrong.
    Input,
    /// Kite's own backend gave nonsense.
    Data,
    /// Kite could not reach its own backend; also what it sends with 429.
    Network,
    /// Anything unclassified on Kite's side.
    General,
    /// A word that this version does not know.
    Other(String),
}

impl ErrorType {
    /// From the word in Kite's JSON.
    pub fn of(word: &str) -> Self {
        match word {
            "TokenException" => Self::Token,
            "PermissionException" | "PermissionError" => Self::Permission,
            "UserException" | "TwoFAException" => Self::User,
            "InputException" => Self::Input,
            "DataException" => Self::Data,
            "NetworkException" => Self::Network,
            "GeneralException" => Self::General,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The word in Kite's JSON.
    pub fn name(&self) -> &str {
        match self {
            Self::Token => "TokenException",
            Self::Permission => "PermissionException",
            Self::User => "UserException",
            Self::Input => "InputException",
            Self::Data => "DataException",
            Self::Network => "NetworkException",
            Self::General => "GeneralException",
            Self::Other(word) => word,
        }
    }
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a REST call failed. No variant carries a token, a checksum or an address with a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestError {
    /// Kite answered with an error.
    #[error("kite refused {call}: {error_type} (HTTP {status}): {message}")]
    Api {
        /// Which call, e.g. `GET /user/profile`.
        call: String,
        /// Kite's class of the error.
        error_type: ErrorType,
        /// HTTP status.
        status: u16,
        /// Kite's words.
        message: String,
    },
    /// The answer is none of Kite's, e.g. a proxy's HTML page.
    #[error("{call}: the answer (HTTP {status}) is not Kite's, it begins `{begins}`: try again in a while")]
    NotKite {
        /// Which call.
        call: String,
        /// HTTP status.
        status: u16,
        /// Its first characters.
        begins: String,
    },
    /// The call did not get through, or took too long.
    #[error("{call}: {problem}")]
    Transport {
        /// Which call.
        call: String,
        /// What happened, without the address.
        problem: String,
    },
    /// Kite answered with success, in a form that this version does not know.
    #[error("{call}: the answer has an unknown form: {problem}")]
    Unexpected {
        /// Which call.
        call: String,
        /// What is missing or wrong.
        problem: String,
    },
    /// Something that Kite would refuse, so it was not asked.
    #[error("{call}: {problem}")]
    Invalid {
        /// Which call.
        call: String,
        /// What is wrong.
        problem: String,
    },
}

/// What to do after a [`RestError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Try again, with a growing delay.
    Retry,
    /// Too many requests: try again after some seconds.
    RetrySlowly,
    /// Log in first.
    LogIn,
    /// Trying again gives the same answer.
    GiveUp,
}

impl RestError {
    /// What to do: 429 first, then the error's type.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Api { status: 429, .. } | Self::NotKite { status: 429, .. } => Disposition::RetrySlowly,
            Self::Api { error_type: ErrorType::Token, .. } => Disposition::LogIn,
            Self::Api { error_type: ErrorType::Network | ErrorType::Data | ErrorType::General, .. }
            | Self::NotKite { .. }
            | Self::Transport { .. } => Disposition::Retry,
            Self::Api { error_type: ErrorType::Other(_), status, .. } if *status >= 500 => Disposition::Retry,
            Self::Api { .. } | Self::Unexpected { .. } | Self::Invalid { .. } => Disposition::GiveUp,
        }
    }
}
