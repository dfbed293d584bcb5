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
        match (self.current.unwrap(purpose, wrapped), &self.next) {
            // Whatever one says of what the other wrapped.
            (found @ (Ok(None) | Err(_)), Some(next)) => next.unwrap(purpose, wrapped)?.map_or(found, |secret| Ok(Some(secret))),
            (found, _) => found,
        }
    }

    /// What is wrapped, wrapped by the next key and seen to open; `None` if it is already.
    ///
    /// # Errors
    /// [`StoreError::WrongMasterKey`] if neither wrapped it; [`StoreError::Invalid`] if the next key does not open what it
    /// wrapped.
    pub(crate) fn rewrap(&self, purpose: &Aad, wrapped: &[u8]) -> Result<Option<Vec<u8>>> {
        let next = self.next.as_ref().ok_or(StoreError::Invalid("no rotation is under way"))?;
        if next.unwrap(purpose, wrapped)?.is_some() {
            return Ok(None);
        }
        let secret = self.current.unwrap(purpose, wrapped)?.ok_or(StoreError::WrongMasterKey)?;
        let again = next.wrap(purpose, &secret)?;
        // The former key is about to go: nothing is believed of the next that was not seen.
        match next.unwrap(purpose, &again)? {
            Some(opened) if *opened == *secret => Ok(Some(again)),
            _ => Err(StoreError::Invalid("the next master key does not open what it wrapped; the one in use stays")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::{Secret, random};

    /// Says that it wraps, by a nonce of its own that it does not tell: what some modules do in their strict modes.
    struct Liar(SealingKey);

    impl KeyProvider for Liar {
        fn wrap(&self, purpose: &Aad, secret: &[u8]) -> Result<Vec<u8>> {
            let mut wrapped = self.0.seal(purpose, secret)?;
            wrapped[..12].copy_from_slice(&random::<12>()?);
            Ok(wrapped)
        }
        fn unwrap(&self, purpose: &Aad, wrapped: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
            Ok(self.0.open(purpose, wrapped))
        }
    }

    #[test]
    fn nothing_is_given_to_a_key_that_does_not_open_what_it_wrapped() {
        let key = || SealingKey::new(&Secret::new(random().unwrap())).unwrap();
        let aad = Aad::secret("a");
        let file: Arc<dyn KeyProvider> = Arc::new(FileProvider::new(key()));
        let wrapped = file.wrap(&aad, b"a secret").unwrap();
        let sound = Masters::new(file.clone(), Some(Arc::new(FileProvider::new(key()))));
        let again = sound.rewrap(&aad, &wrapped).unwrap().unwrap();
        assert!(sound.rewrap(&aad, &again).unwrap().is_none(), "it is already");
        assert_eq!(*sound.unwrap(&aad, &again).unwrap().unwrap(), b"a secret");
        let lied_to = Masters::new(file, Some(Arc::new(Liar(key()))));
        assert!(matches!(lied_to.rewrap(&aad, &wrapped), Err(StoreError::Invalid(_))));
    }
}
