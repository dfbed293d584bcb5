//! Every hostile and odd file, through a real child process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use decoder::{CHILD_ADDRESS_BYTES_MAX, CPU_SECONDS_MAX, DecodeError, Decoded, Decoder, Format, IMAGE_BYTES_MAX, SIDE_PIXELS_MAX};
use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder};
use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const CHILD: &str = env!("CARGO_BIN_EXE_decode-child");

fn decoder() -> Decoder {
    Decoder::new(PathBuf::from(CHILD), Vec::new())
}

async fn decode(bytes: &[u8]) -> Result<Decoded, DecodeError> {
    decoder().decode(bytes, None).await
}

async fn refusal(bytes: &[u8]) -> DecodeError {
    decode(bytes).await.expect_err("it must be refused")
}

/// A picture that differs in every corner: red, green / blue, white, shaded towards the middle.
fn corners(width: u32, height: u32) -> Vec<u8> {
    let mut rgb = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let colour: [u8; 3] = match (x < width / 2, y < height / 2) {
                (true, true) => [230, 20, 20],
                (false, true) => [20, 200, 20],
                (true, false) => [20, 20, 220],
                (false, false) => [240, 240, 240],
            };
            rgb.extend(colour.map(|v| v.saturating_sub(((x + y) % 8) as u8)));
        }
    }
    rgb
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, 90).write_image(&corners(width, height), width, height, ExtendedColorType::Rgb8).unwrap();
    out
}

fn png_of(data: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> Vec<u8> {
    let mut out = Vec::new();
    PngEncoder::new(&mut out).write_image(data, width, height, colour).unwrap();
    out
}

fn png(width: u32, height: u32) -> Vec<u8> {
    png_of(&corners(width, height), width, height, ExtendedColorType::Rgb8)
}

/// A segment put straight behind a JPEG's first marker.
fn with_segment(jpeg: &[u8], marker: u8, data: &[u8]) -> Vec<u8> {
    let mut out = jpeg[..2].to_vec();
    out.extend([0xFF, marker]);
    out.extend(u16::try_from(data.len() + 2).unwrap().to_be_bytes());
    out.extend(data);
    out.extend(&jpeg[2..]);
    out
}

fn exif_orientation(orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    exif
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |c, _| (c >> 1) ^ (0xEDB8_8320 & (c & 1).wrapping_neg())))
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    let mut out = u32::try_from(data.len()).unwrap().to_be_bytes().to_vec();
    out.extend(&body);
    out.extend(crc32(&body).to_be_bytes());
    out
}

/// A PNG with a chunk put behind its header.
fn with_chunk(png: &[u8], kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let header_end = 8 + 25;
    [&png[..header_end], &chunk(kind, data), &png[header_end..]].concat()
}

/// The digest by another implementation: coreutils.
fn sha256sum(bytes: &[u8]) -> String {
    use std::io::Write;
    let mut child =
        std::process::Command::new("sha256sum").stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap().stdout;
    String::from_utf8(output).unwrap()[..64].to_owned()
}

fn pixel(decoded: &Decoded, x: u32, y: u32) -> [u8; 3] {
    let at = ((y * decoded.pixels.width() + x) * 3) as usize;
    decoded.pixels.data()[at..at + 3].try_into().unwrap()
}

fn near(a: [u8; 3], b: [u8; 3], by: u8) -> bool {
    a.iter().zip(b).all(|(x, y)| x.abs_diff(y) <= by)
}

#[tokio::test]
async fn an_ordinary_picture_comes_through() {
    let file = png(40, 30);
    let decoded = decoder().decode(&file, Some("me.png")).await.unwrap();
    assert_eq!((decoded.pixels.width(), decoded.pixels.height()), (40, 30));
    assert_eq!(decoded.pixels.data(), corners(40, 30));
    assert_eq!((decoded.format, decoded.orientation), (Format::Png, 1));
    assert_eq!(decoded.extension_mismatch, None);
    assert_eq!(decoded.bytes, file.len());
    assert_eq!(decoded.sha256, sha256sum(&file));
    let decoded = decode(&jpeg(40, 30)).await.unwrap();
    assert_eq!(decoded.format, Format::Jpeg);
    assert!(near(pixel(&decoded, 5, 5), [228, 18, 18], 12));
}

#[tokio::test]
async fn the_real_photographs_come_through() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../node_modules/@vladmandic/face-api/demo");
    for number in 1..=6 {
        let path = demo.join(format!("sample{number}.jpg"));
        let bytes = std::fs::read(&path).unwrap_or_else(|_| panic!("{} is missing: run make setup", path.display()));
        let decoded = decode(&bytes).await.unwrap();
        assert_eq!(decoded.pixels.width(), 1920);
        let half = refusal(&bytes[..bytes.len() / 2]).await;
        assert_eq!(half, DecodeError::Truncated { format: Format::Jpeg });
    }
}

#[tokio::test]
async fn what_is_not_a_picture_is_named() {
    assert_eq!(refusal(b"").await, DecodeError::Empty);
    let cases: [(&[u8], &str); 9] = [
        (b"<!DOCTYPE html><html><body>hello", "a web page"),
        (b"  <html>", "a web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"PK\x03\x04....", "a ZIP archive or office document"),
        (b"\x7FELF....", "a program"),
        (b"\0\0\0\x18ftypmp42....", "a video"),
        (b"only some words", "text"),
        (b"\x01\x02\x03\x04\x05\x06", "unknown data"),
    ];
    for (bytes, name) in cases {
        match refusal(bytes).await {
            DecodeError::NotAnImage { looks_like } => assert_eq!(looks_like, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    for (bytes, name) in [
        (b"GIF89a......".as_slice(), "GIF"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "WebP"),
        (b"BM......", "BMP"),
        (b"II*\0....", "TIFF"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
    ] {
        assert_eq!(refusal(bytes).await, DecodeError::OtherFormat { format: name.into() });
    }
}

#[tokio::test]
async fn animations_are_refused() {
    let apng = with_chunk(&png(8, 8), b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]);
    let animated = |format: &str| DecodeError::Animated { format: format.into() };
    assert_eq!(refusal(&apng).await, animated("PNG"));
    assert_eq!(refusal(b"GIF89a\x01\0\x01\0\0\0\0!\xFF\x0BNETSCAPE2.0\x03\x01\0\0\0").await, animated("GIF"));
    assert_eq!(refusal(b"RIFF\0\0\0\0WEBPVP8X\x0A\0\0\0\x02\0\0\0\0\0\0\0\0\0ANIM").await, animated("WebP"));
}

#[tokio::test]
async fn a_file_cut_anywhere_is_refused() {
    for (file, format) in [(jpeg(64, 48), Format::Jpeg), (png(64, 48), Format::Png)] {
        for eighth in 1..8 {
            let cut = &file[..file.len() * eighth / 8];
            assert_eq!(refusal(cut).await, DecodeError::Truncated { format }, "{format} {eighth}/8");
        }
        assert!(decode(&file[..file.len() - 1]).await.is_err(), "the last byte counts");
        assert!(decode(&file).await.is_ok());
    }
}

#[tokio::test]
async fn bombs_are_refused_before_they_unfold() {
    let started = Instant::now();
    let mut bomb = png(8, 8);
    bomb[16..24].copy_from_slice(&[0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF]);
    let sum = crc32(&bomb[12..29]).to_be_bytes();
    bomb[29..33].copy_from_slice(&sum);
    let side = u32::from(u16::MAX);
    let too_many = DecodeError::TooManyPixels { width: side, height: side };
    assert_eq!(refusal(&bomb).await, too_many);

    let mut bomb = jpeg(8, 8);
    let frame = bomb.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    bomb[frame + 5..frame + 9].copy_from_slice(&[0xFF; 4]);
    assert_eq!(refusal(&bomb).await, too_many);
    assert!(too_many.to_string().contains("40 million pixels"));

    // Within the pixels but over one side.
    let long = vec![0; (SIDE_PIXELS_MAX as usize + 1) * 3];
    let long = png_of(&long, SIDE_PIXELS_MAX + 1, 1, ExtendedColorType::Rgb8);
    assert!(matches!(refusal(&long).await, DecodeError::TooManyPixels { .. }));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn the_largest_allowed_picture_fits_in_the_memory_allowed() {
    let (width, height) = (8_000, 5_000);
    let samples = vec![0x40u8; width as usize * height as usize * 8];
    let file = png_of(&samples, width, height, ExtendedColorType::Rgba16);
    drop(samples);
    // Turned as well: the worst case.
    let file = with_chunk(&file, b"eXIf", &exif_orientation(6)[6..]);
    assert!(file.len() < IMAGE_BYTES_MAX);
    let decoded = decode(&file).await.unwrap();
    assert_eq!((decoded.pixels.width(), decoded.pixels.height()), (height, width));
    assert_eq!(decoded.orientation, 6);
}

#[tokio::test]
async fn too_many_bytes_are_refused_without_a_child() {
    let nobody = Decoder::new("/nowhere/at/all".into(), Vec::new());
    let bytes = vec![0xFF; IMAGE_BYTES_MAX + 1];
    let refused = nobody.decode(&bytes, None).await.unwrap_err();
    assert_eq!(refused, DecodeError::TooManyBytes { bytes: IMAGE_BYTES_MAX as u64 + 1 });
    assert!(refused.to_string().contains("20 MB at most"));
    // At the limit a child is asked.
    let refused = nobody.decode(&bytes[1..], None).await.unwrap_err();
    assert!(matches!(refused, DecodeError::Unavailable { .. }));
    assert!(!refused.is_refusal());
}

#[tokio::test]
async fn polyglots_are_refused() {
    for (file, format) in [(jpeg(32, 32), Format::Jpeg), (png(32, 32), Format::Png)] {
        for tail in [b"PK\x03\x04hidden archive".as_slice(), b"<html><script>", &jpeg(8, 8)] {
            let joined = [&file, tail].concat();
            let bytes = tail.len() as u64;
            assert_eq!(refusal(&joined).await, DecodeError::TrailingData { format, bytes });
        }
        let padded = [file.as_slice(), &[0; 512]].concat();
        assert!(decode(&padded).await.is_ok(), "zeros that a camera wrote are harmless");
    }
}

#[tokio::test]
async fn every_exif_orientation_is_applied() {
    let red = [228, 18, 18];
    let upright = decode(&jpeg(64, 32)).await.unwrap();
    assert!(near(pixel(&upright, 8, 8), red, 14));
    // Where the stored picture's top left corner belongs, for orientations 1 to 8.
    let corner = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0), (1, 0), (1, 1), (0, 1)];
    for orientation in 1..=8u8 {
        let file = with_segment(&jpeg(64, 32), 0xE1, &exif_orientation(orientation));
        let decoded = decode(&file).await.unwrap();
        assert_eq!(decoded.orientation, orientation);
        let (w, h) = (decoded.pixels.width(), decoded.pixels.height());
        assert_eq!((w, h), if orientation < 5 { (64, 32) } else { (32, 64) });
        let (right, bottom) = corner[usize::from(orientation) - 1];
        let (x, y) = (8 + right * (w - 16), 8 + bottom * (h - 16));
        assert!(near(pixel(&decoded, x, y), red, 14), "orientation {orientation}");
    }
}

#[tokio::test]
async fn metadata_does_not_survive() {
    let secret = b"taken at 51.5007 N by a person with a name";
    let file = with_segment(&jpeg(32, 32), 0xFE, secret);
    let file = with_segment(&file, 0xE1, &[exif_orientation(3), secret.to_vec()].concat());
    let decoded = decode(&file).await.unwrap();
    let clean = decoded.pixels.to_jpeg(decoder::JPEG_QUALITY).unwrap();
    let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|w| w == secret);
    assert!(holds(&file) && !holds(&clean));
    let again = decode(&clean).await.unwrap();
    assert_eq!(again.orientation, 1, "applied once, not twice");
    assert!(!holds(&decoded.pixels.to_png().unwrap()));
}

#[tokio::test]
async fn unusual_colours_become_rgb() {
    // CMYK, as Adobe stores it (inverted).
    let rgb = [[250u8, 10, 10], [10, 240, 10], [10, 10, 230], [128, 128, 128]];
    for colour in rgb {
        let cmyk: Vec<u8> = (0..32 * 32).flat_map(|_| colour.map(|v| 255 - v).into_iter().chain([0])).collect();
        let mut file = Vec::new();
        jpeg_encoder::Encoder::new(&mut file, 95).encode(&cmyk, 32, 32, jpeg_encoder::ColorType::Cmyk).unwrap();
        let decoded = decode(&file).await.unwrap();
        assert!(near(pixel(&decoded, 16, 16), colour, 8), "CMYK {colour:?} became {:?}", pixel(&decoded, 16, 16));
        let mut file = Vec::new();
        jpeg_encoder::Encoder::new(&mut file, 95).encode(&cmyk, 32, 32, jpeg_encoder::ColorType::CmykAsYcck).unwrap();
        let decoded = decode(&file).await.unwrap();
        assert!(near(pixel(&decoded, 16, 16), colour, 8), "YCCK {colour:?} became {:?}", pixel(&decoded, 16, 16));
    }

    // 16 bits: the high byte stays (samples are in the machine's order here).
    let deep: Vec<u8> = (0..16 * 16).flat_map(|_| [0xC000u16, 0x4000, 0x1000]).flat_map(u16::to_ne_bytes).collect();
    let decoded = decode(&png_of(&deep, 16, 16, ExtendedColorType::Rgb16)).await.unwrap();
    assert!(near(pixel(&decoded, 3, 3), [0xC0, 0x40, 0x10], 1));

    let mut grey = Vec::new();
    JpegEncoder::new_with_quality(&mut grey, 95).write_image(&[77; 256], 16, 16, ExtendedColorType::L8).unwrap();
    assert!(near(pixel(&decode(&grey).await.unwrap(), 5, 5), [77; 3], 2));

    // Grey, grey with transparency, and a hidden colour under full transparency.
    let decoded = decode(&png_of(&[77; 64], 8, 8, ExtendedColorType::L8)).await.unwrap();
    assert_eq!(pixel(&decoded, 1, 1), [77; 3]);
    let decoded = decode(&png_of(&[0, 128].repeat(64), 8, 8, ExtendedColorType::La8)).await.unwrap();
    assert!(near(pixel(&decoded, 1, 1), [127; 3], 1));
    let decoded = decode(&png_of(&[255, 0, 0, 0].repeat(64), 8, 8, ExtendedColorType::Rgba8)).await.unwrap();
    assert_eq!(pixel(&decoded, 1, 1), [255; 3]);
}

#[tokio::test]
async fn a_progressive_jpeg_is_read() {
    let mut file = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut file, 90);
    encoder.set_progressive(true);
    encoder.encode(&corners(64, 32), 64, 32, jpeg_encoder::ColorType::Rgb).unwrap();
    assert!(near(pixel(&decode(&file).await.unwrap(), 8, 8), [228, 18, 18], 14));
    assert!(decode(&file[..file.len() / 2]).await.is_err());
}

#[tokio::test]
async fn coding_that_is_not_read_is_named() {
    for (marker, word) in [(0xC3, "lossless"), (0xC5, "hierarchical"), (0xC9, "arithmetic")] {
        let mut file = jpeg(16, 16);
        let frame = file.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
        file[frame + 1] = marker;
        let refused = refusal(&file).await.to_string();
        assert!(refused.contains(word), "{refused}");
    }
    let mut file = jpeg(16, 16);
    let frame = file.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    file[frame + 4] = 12;
    assert!(refusal(&file).await.to_string().contains("12 bits"));
}

#[tokio::test]
async fn a_wrong_extension_is_told_not_refused() {
    let file = png(8, 8);
    let told = |name: &'static str| {
        let file = file.clone();
        async move { decoder().decode(&file, Some(name)).await.unwrap().extension_mismatch }
    };
    assert!(told("a.PNG").await.is_none());
    let mismatch = told("a.jpg").await.unwrap();
    assert_eq!((mismatch.declared.as_str(), mismatch.actual), ("jpg", Format::Png));
    assert_eq!(told("no extension").await.unwrap().declared, "");
    assert_eq!(told("x.<b>evil\"name").await.unwrap().declared, "bevilnam");
}

#[tokio::test]
async fn damage_is_refused_and_never_brings_the_reader_down() {
    let file = png(64, 64);
    let data = file.windows(4).position(|w| w == b"IDAT").unwrap();
    let mut damaged = file.clone();
    damaged[data + 20] ^= 0x55;
    assert_eq!(refusal(&damaged).await, DecodeError::Damaged { format: Format::Png });

    // A fixed walk of changed bytes over both formats: an answer each time, from a child that ended well.
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut refused = 0;
    for round in 0..150 {
        let mut file = if round % 2 == 0 { jpeg(48, 48) } else { png(48, 48) };
        for _ in 0..=random(6) {
            let at = 2 + random(file.len() - 2);
            file[at] = random(256) as u8;
        }
        match decode(&file).await {
            Ok(_) => {}
            Err(error) => {
                let fault = matches!(error, DecodeError::Unavailable { .. } | DecodeError::ChildDied { .. });
                assert!(!fault, "round {round}: {error:?}");
                refused += 1;
            }
        }
    }
    assert!(refused > 50, "{refused}");
}

#[tokio::test]
async fn what_the_decoder_panics_on_is_refused_as_damaged() {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/broken/picture/jpeg-beyond-its-row");
    assert_eq!(refusal(&std::fs::read(found).unwrap()).await, DecodeError::Damaged { format: Format::Jpeg });
}

/// A child that is a shell script.
fn script(text: &str) -> Decoder {
    Decoder::new("/bin/sh".into(), vec!["-c".into(), text.into()])
}

#[tokio::test]
async fn a_child_that_dies_hangs_or_lies_is_told_apart() {
    let file = png(8, 8);
    let outcome = async |decoder: Decoder| decoder.decode(&file, None).await.unwrap_err();

    let killed = outcome(script("kill -9 $$")).await;
    assert_eq!(killed, DecodeError::ChildDied { how: "signal 9".into() });
    assert!(killed.to_string().contains("within the memory and time allowed"));
    let panicked = outcome(script("exit 101")).await;
    assert_eq!(panicked, DecodeError::ChildDied { how: "exit code 101".into() });

    let started = Instant::now();
    let slow = script("exec /bin/sleep 60").with_wall_limit(Duration::from_millis(300));
    assert_eq!(outcome(slow).await, DecodeError::TookTooLong);
    assert!(started.elapsed() < Duration::from_secs(5));

    for lie in [
        "echo hello",
        "true",
        // Says 100 × 100 pixels and sends none.
        r#"printf 'CSIMAGE1\113\000\000\000{"answer":"pixels","width":100,"height":100,"format":"png","orientation":1}'"#,
        // Says more pixels than fit in a number.
        r#"printf 'CSIMAGE1\123\000\000\000{"answer":"pixels","width":99999999,"height":9999,"format":"png","orientation":1}  '"#,
        // Says that its JSON is four gigabytes long.
        r"printf 'CSIMAGE1\377\377\377\377'",
        // Never stops talking.
        "exec /bin/cat /dev/zero",
    ] {
        let error = outcome(script(lie)).await;
        assert!(matches!(error, DecodeError::Unavailable { .. }), "{lie}: {error:?}");
    }
    let missing = outcome(Decoder::new("/nowhere".into(), Vec::new())).await;
    assert!(missing.to_string().contains("Nothing is wrong with the picture"));
}

#[tokio::test]
async fn the_child_really_has_given_up_what_it_does_not_need() {
    let mut command = tokio::process::Command::new(CHILD);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).kill_on_drop(true);
    let me = std::fs::metadata("/proc/self/status").unwrap().uid();
    if me == 0 {
        // With another group than root's, it shows for root's own processes too that nobody may look into them.
        command.gid(65_534);
    }
    let mut child = command.spawn().unwrap();
    let limits = format!("/proc/{}/limits", child.id().unwrap());
    let expected = [
        ("Max address space", CHILD_ADDRESS_BYTES_MAX),
        ("Max cpu time", CPU_SECONDS_MAX),
        ("Max core file size", 0),
        ("Max file size", 0),
        ("Max open files", 3),
        ("Max processes", 0),
    ];
    let holds = |text: &str| {
        expected.iter().all(|(name, limit)| {
            let line = text.lines().find(|l| l.starts_with(name)).unwrap();
            let mut values = line[name.len()..].split_whitespace();
            let number = limit.to_string();
            values.next() == Some(&number) && values.next() == Some(&number)
        })
    };
    // It waits for its request with the limits already set.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let text = std::fs::read_to_string(&limits).unwrap();
        if holds(&text) {
            break;
        }
        assert!(Instant::now() < deadline, "{text}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let memory = std::fs::metadata(format!("/proc/{}/mem", child.id().unwrap())).unwrap();
    assert_eq!((memory.uid(), memory.gid()), (0, 0), "nobody looks into it while it decodes");
    assert_eq!(child.try_wait().unwrap(), None, "of a process that has ended, everything is root's");
    drop(child.stdin.take());
    assert_eq!(child.wait().await.unwrap().code(), Some(4), "half a request is not decoded");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_wait_their_turn() {
    let decoder = decoder();
    let file = std::sync::Arc::new(jpeg(400, 300));
    let tasks: Vec<_> = (0..24)
        .map(|_| {
            let (decoder, file) = (decoder.clone(), file.clone());
            tokio::spawn(async move { decoder.decode(&file, None).await.unwrap().sha256 })
        })
        .collect();
    let mut digests = Vec::new();
    for task in tasks {
        digests.push(task.await.unwrap());
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
}
