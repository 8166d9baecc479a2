//! A connection that is opened when it is needed and thrown away after the first doubt.

use crate::{RedisOptions, StreamError};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisError, Value};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A handle on one connection to Redis; clones share it. A command that ends in a timeout or an I/O error closes the
/// connection, so a late answer can never be taken for another command's; the next command opens a new one. Nothing is
/// repeated here: whether that is safe only the caller knows.
#[derive(Clone, Debug)]
pub(crate) struct Link(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: redis::Client,
    endpoint: String,
    connect_timeout: Duration,
    response_timeout: Duration,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    connection: Option<MultiplexedConnection>,
    /// Connections opened so far.
    generation: u64,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open")
            .field("connected", &self.connection.is_some())
            .field("generation", &self.generation)
            .finish()
    }
}

impl Link {
    pub(crate) fn new(options: &RedisOptions) -> Result<Self, StreamError> {
        Ok(Self(Arc::new(Inner {
            client: options.client()?,
            endpoint: options.endpoint(),
            connect_timeout: options.connect_timeout,
            response_timeout: options.response_timeout,
            open: Mutex::default(),
        })))
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// Closes the connection if it is still that of `generation`.
    fn close(&self, generation: u64) {
        let mut open = self.lock();
        if open.generation == generation {
            open.connection = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        // nothing panics while the lock is held, and the state is whole at every point
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connection(&self, doing: &'static str) -> Result<(MultiplexedConnection, u64), StreamError> {
        {
            let open = self.lock();
            if let Some(connection) = &open.connection {
                return Ok((connection.clone(), open.generation));
            }
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.0.connect_timeout))
            .set_response_timeout(Some(self.0.response_timeout));
        let connection = self
            .0
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|source| StreamError::of(&self.0.endpoint, doing, source))?;
        let mut open = self.lock();
        open.generation += 1;
        open.connection = Some(connection.clone());
        Ok((connection, open.generation))
    }

    fn failed(&self, generation: u64, doing: &'static str, source: RedisError) -> StreamError {
        let error = StreamError::of(&self.0.endpoint, doing, source);
        if matches!(error, StreamError::Unreachable { .. }) {
            self.close(generation);
        }
        error
    }

    /// Sends one command, which may block on the server for `block`.
    pub(crate) async fn send_blocking(
        &self,
        doing: &'static str,
        command: &Cmd,
        block: Duration,
    ) -> Result<Value, StreamError> {
        let (mut connection, generation) = self.connection(doing).await?;
        connection.set_response_timeout(self.0.response_timeout + block);
        let value = connection
            .send_packed_command(command)
            .await
            .and_then(Value::extract_error)
            .map_err(|source| self.failed(generation, doing, source))?;
        Ok(value)
    }

    pub(crate) async fn send(&self, doing: &'static str, command: &Cmd) -> Result<Value, StreamError> {
        self.send_blocking(doing, command, Duration::ZERO).await
    }

    /// Sends one command and reads its answer as a `T`.
    pub(crate) async fn query<T: redis::FromRedisValue>(
        &self,
        doing: &'static str,
        command: &Cmd,
    ) -> Result<T, StreamError> {
        let value = self.send(doing, command).await?;
        redis::from_redis_value_ref(&value).map_err(|_| crate::reply::unexpected(doing, &value))
    }

    /// Sends a pipeline; refusals of single commands stand in the answer as `Value::ServerError`.
    pub(crate) async fn pipeline(
        &self,
        doing: &'static str,
        pipeline: &Pipeline,
    ) -> Result<Vec<Value>, StreamError> {
        let (mut connection, generation) = self.connection(doing).await?;
        connection
            .send_packed_commands(pipeline, 0, pipeline.len())
            .await
            .map_err(|source| self.failed(generation, doing, source))
    }
}
