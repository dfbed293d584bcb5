//! Where sealed images are kept: a folder, or a bucket of a server that speaks S3.
//!
//! Both are `object_store`'s. What is asked of a bucket is what every such server has: put, get, delete and list.
//! A blob's id is 16 random bytes, so nothing is ever put where something else lies; no versioning or lock of the
//! server is relied upon. A put that was answered is durable; one that was not may be there or not,
//! and is an orphan until a commit names it.

use crate::{Result, StoreError, secrets};
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, PutMode, RetryConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long one request to a bucket may take, in seconds.
pub const BUCKET_TIMEOUT_SECONDS: u64 = 30;
/// How often a request that a bucket's server failed at is sent again.
pub const BUCKET_RETRIES: usize = 3;

/// The object that says whose the bucket is.
const OWNER: &str = "countersign";

/// Where sealed images are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Blobs {
    /// In `blobs/` of the store's folder.
    #[default]
    Folder,
    /// In a folder elsewhere, e.g. one that several nodes share.
    Elsewhere(PathBuf),
    /// In a bucket.
    Bucket(Bucket),
}

/// A bucket of a server that speaks S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// The server, `https://host`; `None`: Amazon's own in the region.
    pub endpoint: Option<String>,
    /// The region; servers that have none take any.
    pub region: String,
    /// Put before every object's name.
    pub prefix: Option<String>,
    /// A file with `aws_access_key_id = …` and `aws_secret_access_key = …`, for its owner only; `None`: from the
    /// environment, or what the machine is given (web identity, container, instance).
    pub credentials: Option<PathBuf>,
}

impl Bucket {
    /// Everything wrong with it, as configuration.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.name.is_empty() {
            faults.push("blobs.bucket: it has no name".into());
        }
        if let Some(endpoint) = &self.endpoint
            && !endpoint.starts_with("https://")
            && !here(endpoint)
        {
            faults.push(format!("blobs.endpoint: {endpoint} is another machine: say https://, so that nobody between reads along (D1)"));
        }
        faults
    }
}

/// Whether plain HTTP to it stays on this machine.
fn here(endpoint: &str) -> bool {
    let host = endpoint.strip_prefix("http://").map(|rest| rest.split(['/', ':']).next().unwrap_or_default());
    host.is_some_and(|host| host == "localhost" || host == "127.0.0.1")
}

impl Blobs {
    /// The folder, if it is one.
    pub(crate) fn folder(&self, dir: &Path) -> Option<PathBuf> {
        match self {
            Self::Folder => Some(dir.join("blobs")),
            Self::Elsewhere(folder) => Some(folder.clone()),
            Self::Bucket(_) => None,
        }
    }

    pub(crate) fn open(&self, dir: &Path) -> Result<Arc<dyn ObjectStore>> {
        if let Some(folder) = self.folder(dir) {
            return Ok(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true)));
        }
        let Self::Bucket(bucket) = self else { return Err(StoreError::Invalid("the blobs have no place")) };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&bucket.name)
            .with_region(&bucket.region)
            // The server checks what arrives against it.
            .with_checksum_algorithm(Checksum::SHA256)
            .with_retry(RetryConfig {
                max_retries: BUCKET_RETRIES,
                retry_timeout: Duration::from_secs(2 * BUCKET_TIMEOUT_SECONDS),
                ..RetryConfig::default()
            });
        let mut options =
            ClientOptions::new().with_timeout(Duration::from_secs(BUCKET_TIMEOUT_SECONDS)).with_connect_timeout(Duration::from_secs(5));
        if let Some(endpoint) = &bucket.endpoint {
            options = options.with_allow_http(here(endpoint));
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(path) = &bucket.credentials {
            let text = secrets::read_private(path)?;
            let text = std::str::from_utf8(&text).map_err(|_| StoreError::BadSecret { path: path.clone() })?;
            let value = |name: &str| {
                let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.trim_start().strip_prefix('='));
                line.map(str::trim).ok_or_else(|| StoreError::BadSecret { path: path.clone() })
            };
            builder = builder.with_access_key_id(value("aws_access_key_id")?).with_secret_access_key(value("aws_secret_access_key")?);
        }
        let store = builder.with_client_options(options).build()?;
        Ok(match &bucket.prefix {
            Some(prefix) => Arc::new(PrefixStore::new(store, prefix.as_str())),
            None => Arc::new(store),
        })
    }

    /// Whether the bucket answers, lets us in and is ours: asked on opening. The first store to use it (under its
    /// prefix) leaves its name there, since a sweep takes away what it has no row of.
    pub(crate) async fn check(&self, store: &dyn ObjectStore, owner: &str) -> Result<()> {
        let Self::Bucket(_) = self else { return Ok(()) };
        let place = ObjectPath::from(OWNER);
        for _ in 0..2 {
            match store.get(&place).await {
                Ok(found) => {
                    let ours = found.bytes().await?.as_ref() == owner.as_bytes();
                    return if ours { Ok(()) } else { Err(StoreError::OthersBucket) };
                }
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            match store.put_opts(&place, owner.to_owned().into(), PutMode::Create.into()).await {
                // Read back: of two stores that come at once one is told.
                Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::OthersBucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        let bucket = |endpoint: &str| Bucket {
            name: "sealed".into(),
            endpoint: Some(endpoint.into()),
            region: "eu-west-2".into(),
            prefix: None,
            credentials: None,
        };
        for sound in ["https://s3.example.org", "http://127.0.0.1:9000", "http://localhost:9000"] {
            assert_eq!(bucket(sound).faults(), Vec::<String>::new());
        }
        for unsound in ["http://s3.example.org", "http://127.0.0.1.example.org:9000", "s3.example.org", "ftp://localhost"] {
            assert!(bucket(unsound).faults()[0].contains("https://"), "{unsound}");
        }
        assert_eq!(Bucket { name: String::new(), ..bucket("http://s3.example.org") }.faults().len(), 2);
    }
}
