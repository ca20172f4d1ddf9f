//! Smaller sizes of pictures of all kinds.

use std::io::Cursor;
use std::path::Path;

use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use image::codecs::gif::GifEncoder;
use image::{DynamicImage, ExtendedColorType, ImageFormat, Rgba, RgbaImage};
use tempfile::TempDir;

use super::*;
use crate::files::limits::UPLOAD_BYTES_MAX_DEFAULT;
use crate::files::{NamedUpload, StoredFile};

struct Desk {
    folder: TempDir,
    uploads: Uploads,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let uploads = Uploads::open_folder(folder.path(), UPLOAD_BYTES_MAX_DEFAULT).expect("uploads");
        Self { folder, uploads }
    }

    async fn receives(&self, name: &str, bytes: Vec<u8>) -> StoredFile {
        let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
        let upload: NamedUpload = self.uploads.ingest_named(name, body).await.expect("received");
        upload.keep().await.expect("kept")
    }

    async fn preview(&self, id: Uuid, size: PreviewSize) -> Option<DynamicImage> {
        if !self.uploads.make_preview(id, size).await.expect("made") {
            return None;
        }
        let body = self.uploads.open_preview(id, size, None).await.expect("opened");
        let parts: Vec<Bytes> = body.stream.try_collect().await.expect("read");
        let jpeg = parts.concat();
        Some(image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).expect("a JPEG"))
    }

    fn count(&self) -> usize {
        files_under(&self.folder.path().join("files"))
    }
}

fn files_under(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| if entry.path().is_dir() { files_under(&entry.path()) } else { 1 }).sum()
}

/// The left half is red, the right half transparent.
fn png(width: u32, height: u32) -> Vec<u8> {
    let picture = RgbaImage::from_fn(width, height, |x, _| {
        if x < width / 2 { Rgba([255, 0, 0, 255]) } else { Rgba([0, 0, 0, 0]) }
    });
    let mut out = Vec::new();
    picture.write_to(&mut Cursor::new(&mut out), ImageFormat::Png).expect("a picture");
    out
}

#[tokio::test]
async fn a_picture_is_served_smaller_on_white_and_its_sizes_go_with_it() {
    let desk = Desk::new();
    let file = desk.receives("a.png", png(2_000, 500)).await;
    assert_eq!((file.pixels, file.has_previews), (Some((2_000, 500)), true));
    let small = desk.preview(file.id, PreviewSize::Small).await.expect("one").to_rgb8();
    assert_eq!(small.dimensions(), (320, 80));
    let (red, white) = (small.get_pixel(40, 40).0, small.get_pixel(280, 40).0);
    assert!(red[0] > 200 && red[1] < 60 && white.iter().all(|part| *part > 240), "{red:?} {white:?}");
    let large = desk.preview(file.id, PreviewSize::Large).await.expect("one");
    assert_eq!((large.width(), large.height()), (1_280, 320));
    assert_eq!(desk.count(), 3);
    desk.preview(file.id, PreviewSize::Small).await.expect("the same");
    assert_eq!(desk.count(), 3);
    desk.uploads.delete(file.id).await.expect("deleted");
    assert_eq!(desk.count(), 0);
}

#[tokio::test]
async fn a_picture_that_is_small_or_animated_has_no_smaller_size() {
    let desk = Desk::new();
    let file = desk.receives("a.png", png(300, 20)).await;
    assert_eq!((file.pixels, file.has_previews), (Some((300, 20)), false));
    assert!(desk.preview(file.id, PreviewSize::Small).await.is_none());
    // That there is none is kept too.
    assert_eq!(desk.count(), 2);
    let between = desk.receives("b.png", png(700, 20)).await;
    assert!(between.has_previews);
    assert!(desk.preview(between.id, PreviewSize::Small).await.is_some());
    assert!(desk.preview(between.id, PreviewSize::Large).await.is_none());
    let mut moving = Vec::new();
    let frame = RgbaImage::new(400, 2);
    GifEncoder::new(&mut moving).encode(&frame, 400, 2, ExtendedColorType::Rgba8).expect("encoded");
    let gif = desk.receives("d.gif", moving).await;
    assert_eq!((gif.pixels, gif.has_previews), (Some((400, 2)), false));
    assert!(desk.uploads.make_preview(Uuid::now_v7(), PreviewSize::Small).await.is_err());
}

#[tokio::test]
async fn pieces_are_read_in_their_order_and_deleted() {
    let desk = Desk::new();
    let mut pieces = Vec::new();
    for text in ["one ", "two ", "three"] {
        pieces.push(desk.uploads.put_piece(Bytes::from(text)).await.expect("stored"));
    }
    let read: Vec<Bytes> = desk.uploads.read_pieces(pieces.clone()).try_collect().await.expect("read");
    assert_eq!(read.concat(), b"one two three");
    desk.uploads.delete_pieces(&pieces[..1]).await;
    desk.uploads.delete_pieces(&pieces).await;
    assert_eq!(desk.count(), 0);
    let gone: Result<Vec<Bytes>, _> = desk.uploads.read_pieces(pieces).try_collect().await;
    assert!(gone.is_err());
}
