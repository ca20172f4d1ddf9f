//! Where Django's files are: its `MEDIA_ROOT`, or a URL under which it is served.

use std::io;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use reqwest::StatusCode;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use url::Url;

/// Bytes read from a file at once.
const PART_BYTES: usize = 256 * 1024;
/// How often a file is asked for.
const TRIES_MAX: u32 = 3;
/// How long a server may take to begin its answer, and to go on with it.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

/// The content of a file.
pub(super) type MediaBody = BoxStream<'static, io::Result<Bytes>>;

/// Where files come from.
#[derive(Clone, Debug)]
pub enum MediaSource {
    /// A folder, by its real path.
    Folder(PathBuf),
    /// The address of a folder.
    Url(Url, reqwest::Client),
}

/// Why a folder or a URL can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MediaSourceError {
    /// The folder isn't there, or can't be read.
    #[error("--media {0}: {1}")]
    Folder(String, io::Error),
    /// It isn't a URL, or no client can be made for it.
    #[error("--media {0}: {1}")]
    Url(String, String),
}

impl MediaSource {
    /// Reads what the operator gave: a folder, or a URL that begins with `http`.
    ///
    /// # Errors
    /// [`MediaSourceError`].
    pub fn parse(given: &str) -> Result<Self, MediaSourceError> {
        if !given.starts_with("http://") && !given.starts_with("https://") {
            let folder = Path::new(given).canonicalize();
            let folder = folder.map_err(|error| MediaSourceError::Folder(given.to_owned(), error))?;
            return Ok(Self::Folder(folder));
        }
        let fault = |error: String| MediaSourceError::Url(given.to_owned(), error);
        let base = Url::parse(&format!("{}/", given.trim_end_matches('/')));
        let base = base.map_err(|error| fault(error.to_string()))?;
        let client = reqwest::Client::builder()
            .connect_timeout(ANSWER_WITHIN)
            .read_timeout(ANSWER_WITHIN)
            .build()
            .map_err(|error| fault(error.to_string()))?;
        Ok(Self::Url(base, client))
    }

    /// Opens a file by its path. The error is a sentence for the report.
    pub(super) async fn open(&self, path: &str) -> Result<MediaBody, String> {
        if !is_inside(path) {
            return Err("Its path leads out of the media folder.".to_owned());
        }
        match self {
            Self::Folder(folder) => open_file(folder, path).await,
            Self::Url(base, client) => fetch(base, client, path).await,
        }
    }
}

/// Whether a path is a relative one that stays in its folder.
pub(super) fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\0', '\\'])
        && Path::new(path).components().all(|component| matches!(component, Component::Normal(_)))
}

async fn open_file(folder: &Path, path: &str) -> Result<MediaBody, String> {
    let missing = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "It is not there.".to_owned(),
        _ => format!("It can't be read: {error}."),
    };
    let real = tokio::fs::canonicalize(folder.join(path)).await.map_err(missing)?;
    if !real.starts_with(folder) {
        return Err("Its path leads out of the media folder.".to_owned());
    }
    let file = File::open(&real).await.map_err(missing)?;
    if !file.metadata().await.map_err(missing)?.is_file() {
        return Err("It is no file.".to_owned());
    }
    let parts = stream::try_unfold(file, |mut file| async move {
        let mut part = vec![0; PART_BYTES];
        let read = file.read(&mut part).await?;
        part.truncate(read);
        Ok::<_, io::Error>((read > 0).then(|| (Bytes::from(part), file)))
    });
    Ok(parts.boxed())
}

async fn fetch(base: &Url, client: &reqwest::Client, path: &str) -> Result<MediaBody, String> {
    let mut url = base.clone();
    // Appending segments one by one encodes each.
    url.path_segments_mut()
        .map_err(|()| "The URL can't have a path.".to_owned())?
        .pop_if_empty()
        .extend(path.split('/'));
    let mut tries = 1;
    let response = loop {
        let problem = match client.get(url.clone()).send().await {
            Ok(response) if response.status().is_success() => break response,
            Ok(response) if matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::GONE) => {
                return Err("It is not there.".to_owned());
            }
            Ok(response) if response.status().is_client_error() => {
                return Err(format!("The server answered {}.", response.status().as_u16()));
            }
            Ok(response) => format!("The server answered {}.", response.status().as_u16()),
            Err(error) => format!("The server can't be reached: {}.", error.without_url()),
        };
        if tries == TRIES_MAX {
            return Err(problem);
        }
        tries += 1;
    };
    let parts = stream::try_unfold(response, |mut response| async move {
        let part = response.chunk().await.map_err(io::Error::other)?;
        Ok::<_, io::Error>(part.map(|part| (part, response)))
    });
    Ok(parts.boxed())
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    #[test]
    fn paths_that_lead_out_of_the_folder_are_refused() {
        for path in ["", "/etc/passwd", "../x", "a/../../x", "a/./../x", "a\\b", "a\0"] {
            assert!(!is_inside(path), "{path:?}");
        }
        assert!(is_inside("chat_attachments/2026/11/30/Küche 1.png"));
    }

    #[tokio::test]
    async fn a_file_is_read_from_the_folder_and_no_link_leads_out() {
        let outer = tempfile::tempdir().expect("a folder");
        let media = outer.path().join("media");
        std::fs::create_dir(&media).expect("a folder");
        std::fs::write(outer.path().join("secret"), "x").expect("a file");
        std::fs::write(media.join("a.txt"), "hello").expect("a file");
        std::os::unix::fs::symlink(outer.path().join("secret"), media.join("link")).expect("a link");
        let source = MediaSource::parse(media.to_str().expect("a path")).expect("a folder");
        let body = source.open("a.txt").await.expect("a file");
        let parts: Vec<Bytes> = body.try_collect().await.expect("its content");
        assert_eq!(parts.concat(), b"hello");
        for (path, reason) in [("b.txt", "not there"), ("link", "out of the media folder")] {
            let refused = source.open(path).await.err().expect("a refusal");
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
