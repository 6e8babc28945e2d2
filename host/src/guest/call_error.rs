//! What keeps the response of a call away.

/// Why a call has no response. A guest gets it as the `call-error` of `simhost:service/bus`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("{0}")]
    UnknownService(String),
    #[error("no response in time")]
    Timeout,
    #[error("connection refused: {0}")]
    Refused(String),
    #[error("connection reset: {0}")]
    Reset(String),
    #[error("call depth {0} exceeds the topology's limit; is there a cycle?")]
    DepthExceeded(u32),
    #[error("invalid request: {0}")]
    Invalid(String),
    /// The caller's own breaker lets nothing through.
    #[error("circuit open: {0}")]
    CircuitOpen(String),
    /// The caller has as much under way as its bulkhead allows.
    #[error("bulkhead full: {0}")]
    BulkheadFull(String),
    /// The caller's worker holds as much of the host's memory as it may.
    #[error("host memory exceeded: the call's messages are more than what is left of {0}")]
    HostMemory(String),
    /// Whoever waits for the caller would wait no longer.
    #[error("the deadline has passed")]
    DeadlineExceeded,
}

/// The `error.type` of what comes too late for who asked, on both sides.
pub const DEADLINE_EXCEEDED: &str = "deadline_exceeded";

/// The `error.type` of what would take more of the host's memory than
/// `limits.host-memory` allows.
pub const HOST_MEMORY_EXCEEDED: &str = "host_memory_exceeded";

impl CallError {
    /// The `error.type` of the CLIENT span: low in cardinality.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::UnknownService(_) => "unknown_service",
            Self::Timeout => "timeout",
            Self::Refused(_) => "connection_refused",
            Self::Reset(_) => "connection_reset",
            Self::DepthExceeded(_) => "call_depth_exceeded",
            Self::Invalid(_) => "invalid_request",
            Self::CircuitOpen(_) => "circuit_open",
            Self::BulkheadFull(_) => "bulkhead_full",
            Self::HostMemory(_) => HOST_MEMORY_EXCEEDED,
            Self::DeadlineExceeded => DEADLINE_EXCEEDED,
        }
    }

    /// Whether a client policy of the caller's own side has refused the call: nothing was sent.
    pub const fn is_by_policy(&self) -> bool {
        match self {
            Self::CircuitOpen(_) | Self::BulkheadFull(_) | Self::DeadlineExceeded => true,
            Self::UnknownService(_)
            | Self::Timeout
            | Self::Refused(_)
            | Self::Reset(_)
            | Self::DepthExceeded(_)
            | Self::Invalid(_)
            | Self::HostMemory(_) => false,
        }
    }
}
