//! `weir-av`: decodes and encodes for `weir`, over its standard input and output. It alone links FFmpeg, so that a hostile
//! picture ends a helper and not the server, and a machine without FFmpeg still streams and records.
//!
//! It does one thing at a time; `weir` starts as many as it needs. It ends when its input does.

mod audio;
mod snapshot;
mod video;

use bytes::BytesMut;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::process::ExitCode;
use weir::proto::av::{Ask, Job, Reader, Reply};

/// Jobs that one helper takes at most.
const JOBS: usize = 1024;

enum Work {
    Audio(Box<audio::Transcoder>),
    Video(Box<video::Transcoder>),
}

fn main() -> ExitCode {
    if let Err(e) = ffmpeg_next::init() {
        eprintln!("weir-av: cannot start FFmpeg: {e}");
        return ExitCode::FAILURE;
    }
    ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Fatal);
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("weir-av: {e}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let (mut reader, mut out) = (Reader::default(), BytesMut::new());
    let mut jobs = HashMap::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        while let Some((job, ask)) = reader.ask()? {
            act(&mut jobs, job, ask, &mut out);
            // Each answer goes at once: the other side may wait for it before it asks on.
            if !out.is_empty() {
                output.write_all(&out)?;
                output.flush()?;
                out.clear();
            }
        }
        match input.read(&mut piece)? {
            0 => return Ok(()),
            n => reader.buffer().extend_from_slice(&piece[..n]),
        }
    }
}

fn act(jobs: &mut HashMap<Job, Work>, job: Job, ask: Ask, out: &mut BytesMut) {
    let done = match ask {
        Ask::OpenAudio { .. } | Ask::OpenVideo { .. } if jobs.len() >= JOBS => Err(format!("more than {JOBS} jobs")),
        Ask::OpenAudio { from, to, bitrate } => audio::Transcoder::open(&from, to, bitrate).map(|(work, form)| {
            Reply::Audio(form).write(job, out);
            jobs.insert(job, Work::Audio(Box::new(work)));
        }),
        Ask::OpenVideo { codec, rules } => video::Transcoder::open(codec, &rules).map(|work| {
            jobs.insert(job, Work::Video(Box::new(work)));
        }),
        Ask::Frame { pts, dts, key: _, data } => match jobs.get_mut(&job) {
            Some(Work::Audio(work)) => work.push(pts, &data, &mut |reply| reply.write(job, out)),
            Some(Work::Video(work)) => work.push(pts, dts, &data, &mut |reply| reply.write(job, out)),
            // It has failed, and was told so: what is still under way is not asked for any more.
            None => Ok(()),
        },
        Ask::Snapshot { codec, width, height, quality, data } => {
            snapshot::take(codec, (width, height), quality, &data).map(|picture| picture.write(job, out))
        }
        Ask::AddRule { number, rule } => {
            if let Some(Work::Video(work)) = jobs.get_mut(&job) {
                work.add(number, &rule);
            }
            Ok(())
        }
        Ask::RemoveRule { number } => {
            if let Some(Work::Video(work)) = jobs.get_mut(&job) {
                work.remove(number);
            }
            Ok(())
        }
        Ask::Close => match jobs.remove(&job) {
            Some(Work::Audio(mut work)) => work.finish(&mut |reply| reply.write(job, out)),
            Some(Work::Video(mut work)) => work.finish(&mut |reply| reply.write(job, out)),
            None => Ok(()),
        },
    };
    if let Err(why) = done {
        jobs.remove(&job);
        Reply::Failed(why).write(job, out);
    }
}
