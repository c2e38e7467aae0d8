//! Small valid files of each type, byte by byte.

use std::io::Cursor;

use media::{DeclaredType, Limits, Media, Refusal, inspect};

pub fn look(bytes: &[u8]) -> Result<Media, Refusal> {
    inspect(&DeclaredType::default(), Cursor::new(bytes), &Limits::default())
}

pub fn chunk(name: [u8; 4], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len()).unwrap();
    [&size.to_be_bytes(), name.as_slice(), content, &[0; 4]].concat()
}

/// A PNG with chunks between its header and its data.
pub fn png_with(width: u32, height: u32, more: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes(), &height.to_be_bytes(), b"\x08\x06\0\0\0".as_slice()].concat();
    let data = chunk(*b"IDAT", b"\x78\x9c\x63\0\0\0\x05\0\x01");
    [b"\x89PNG\r\n\x1a\n".as_slice(), &chunk(*b"IHDR", &header), more, &data, &chunk(*b"IEND", b"")].concat()
}

pub fn png() -> Vec<u8> {
    png_with(3, 4, &chunk(*b"tEXt", b"Software\0Inkscape"))
}

pub fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let size = u16::try_from(content.len() + 2).unwrap();
    [&[0xff, marker], size.to_be_bytes().as_slice(), content].concat()
}

/// A JPEG with segments between its beginning and its header.
pub fn jpeg_with(width: u16, height: u16, more: &[u8]) -> Vec<u8> {
    let [[a, b], [c, d]] = [height.to_be_bytes(), width.to_be_bytes()];
    let frame = segment(0xc0, &[8, a, b, c, d, 1, 1, 0x11, 0]);
    let scan = segment(0xda, &[1, 1, 0, 0, 63, 0]);
    [&[0xff, 0xd8], more, &frame, &scan, &[1, 2, 0xff, 0, 3, 0xff, 0xd0, 4], &[0xff, 0xd9]].concat()
}

pub fn jpeg() -> Vec<u8> {
    jpeg_with(3, 4, &segment(0xe0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0"))
}

/// A GIF with blocks before its picture, and as many frames as wanted.
pub fn gif_with(frames: usize, more: &[u8]) -> Vec<u8> {
    let frame = b",\0\0\0\0\x03\0\x04\0\0\x02\x02\x44\x01\0".repeat(frames);
    [b"GIF89a\x03\0\x04\0\x80\0\0\0\0\0\xff\xff\xff".as_slice(), more, &frame, b";"].concat()
}

pub fn gif() -> Vec<u8> {
    gif_with(2, b"!\xfe\x05hello\0")
}

pub fn webp_of(chunks: &[([u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut all = b"WEBP".to_vec();
    for (name, content) in chunks {
        all.extend_from_slice(name);
        all.extend_from_slice(&u32::try_from(content.len()).unwrap().to_le_bytes());
        all.extend_from_slice(content);
        all.resize(all.len().next_multiple_of(2), 0);
    }
    [b"RIFF".as_slice(), &u32::try_from(all.len()).unwrap().to_le_bytes(), &all].concat()
}

pub fn webp() -> Vec<u8> {
    webp_of(&[(*b"VP8L", b"\x2f\x02\xc0\0\0\0\0".to_vec()), (*b"EXIF", b"II*\0".to_vec())])
}

pub fn avif() -> Vec<u8> {
    let boxed =
        |name: &[u8; 4], content: &[u8]| [&u32::try_from(content.len() + 8).unwrap().to_be_bytes(), name.as_slice(), content].concat();
    let size = boxed(b"ispe", b"\0\0\0\0\0\0\0\x03\0\0\0\x04");
    let meta = boxed(b"meta", &[b"\0\0\0\0".as_slice(), &boxed(b"iprp", &boxed(b"ipco", &size))].concat());
    [boxed(b"ftyp", b"avif\0\0\0\0mif1avif"), meta, boxed(b"mdat", b"data")].concat()
}

pub fn pdf() -> Vec<u8> {
    b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\nxref\n0 1\ntrailer\n<<>>\nstartxref\n30\n%%EOF\n".to_vec()
}

pub fn svg() -> Vec<u8> {
    b"<svg xmlns='http://www.w3.org/2000/svg' width='3' height='4'><rect id='a' width='3' height='4' style='fill:url(#b)'/></svg>".to_vec()
}

/// An empty ZIP archive with one entry in its list.
pub fn zip() -> Vec<u8> {
    let list = [b"PK\x01\x02".as_slice(), &[0; 42]].concat();
    [list.as_slice(), b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x2e\0\0\0\0\0\0\0\0\0"].concat()
}

pub fn system_font(name: &str) -> Vec<u8> {
    std::fs::read(format!("/usr/share/fonts/truetype/{name}")).unwrap()
}
