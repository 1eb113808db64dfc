//! A part of a file as the body of an answer, read as the peer takes it.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncSeekExt, ReadBuf};

/// What is read at a time.
const PIECE: usize = 128 << 10;

/// `length` bytes of a file from `from` on.
pub async fn file(path: &Path, from: u64, length: u64) -> io::Result<Body> {
    let mut file = File::open(path).await?;
    file.set_max_buf_size(PIECE);
    file.seek(io::SeekFrom::Start(from)).await?;
    Ok(Body::new(Piecewise { file, left: length, piece: BytesMut::new() }))
}

struct Piecewise {
    file: File,
    left: u64,
    piece: BytesMut,
}

impl HttpBody for Piecewise {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let want = usize::try_from(this.left).unwrap_or(usize::MAX).min(PIECE);
        if want == 0 {
            return Poll::Ready(None);
        }
        this.piece.resize(want, 0);
        let mut buf = ReadBuf::new(&mut this.piece);
        if let Err(error) = ready!(Pin::new(&mut this.file).poll_read(cx, &mut buf)) {
            return Poll::Ready(Some(Err(error)));
        }
        let got = buf.filled().len();
        if got == 0 {
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter"))));
        }
        this.left -= got as u64;
        Poll::Ready(Some(Ok(Frame::data(this.piece.split_to(got).freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
