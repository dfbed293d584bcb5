//! What wraps the data keys: a key provider, and how one master key gives way to the next.

use crate::sealing::{Aad, SealingKey};
use crate::{Result, StoreError};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Keeps a master key and wraps other keys with it. The key itself never has to leave it.
pub(crate) trait KeyProvider: Send + Sync {
    /// Wraps a secret for one purpose.
    ///
    /// # Errors
    /// When the provider fails.
    fn wrap(&self, purpose: &Aad, secret: &[u8]) -> Result<Vec<u8>>;

    /// Unwraps what [`Self::wrap`] made for the same purpose; `None` if another key wrapped it, or it was changed.
    ///
    /// # Errors
    /// When the provider fails.
    fn unwrap(&self, purpose: &Aad, wrapped: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>>;
}

/// A master key in a private file.
pub(crate) struct FileProvider(SealingKey);

impl FileProvider {
    pub(crate) fn new(key: SealingKey) -> Self {
        Self(key)
    }
}

impl KeyProvider for FileProvider {
    fn wrap(&self, purpose: &Aad, secret: &[u8]) -> Result<Vec<u8>> {
        self.0.seal(purpose, secret)
    }
    fn unwrap(&self, purpose: &Aad, wrapped: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        Ok(self.0.open(purpose, wrapped))
    }
}

/// The master key in use and, while a rotation is not finished, the one that takes its place. What either wrapped is
/// unwrapped; what is wrapped is wrapped by the one in use.
#[derive(Clone)]
pub(crate) struct Masters {
    current: Arc<dyn KeyProvider>,
    next: Option<Arc<dyn KeyProvider>>,
}

impl Masters {
    pub(crate) fn new(current: Arc<dyn KeyProvider>, next: Option<Arc<dyn KeyProvider>>) -> Self {
        Self { current, next }
    }

    pub(crate) fn wrap(&self, purpose: &Aad, secret: &[u8]) -> Result<Vec<u8>> {
        self.current.wrap(purpose, secret)
    }

    pub(crate) fn unwrap(&self, purpose: &Aad, wrapped: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
        match (self.current.unwrap(purpose, wrapped)?, &self.next) {
            (None, Some(next)) => next.unwrap(purpose, wrapped),
            (found, _) => Ok(found),
        }
    }

    /// What is wrapped, wrapped by the next key; `None` if it is already.
    ///
    /// # Errors
    /// [`StoreError::WrongMasterKey`] if neither wrapped it.
    pub(crate) fn rewrap(&self, purpose: &Aad, wrapped: &[u8]) -> Result<Option<Vec<u8>>> {
        let next = self.next.as_ref().ok_or(StoreError::Invalid("no rotation is under way"))?;
        if next.unwrap(purpose, wrapped)?.is_some() {
            return Ok(None);
        }
        let secret = self.current.unwrap(purpose, wrapped)?.ok_or(StoreError::WrongMasterKey)?;
        next.wrap(purpose, &secret).map(Some)
    }
}
