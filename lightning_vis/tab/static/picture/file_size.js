// How large a stored picture is, by its file alone: a PNG or a JPEG.

const [START, SIZE] = [2, 16]; // bytes to a JPEG's first marker, and to a PNG's width

export function sizeOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return view.getUint32(0) === 0x89504e47 ? { width: view.getUint32(SIZE), height: view.getUint32(SIZE + 4) } : sizeOfJpeg(view);
  } catch {
    throw new Error("it is no picture"); // it ends too early
  }
}

// Marker after marker, until the one that begins the frame; each says how long it is.
function sizeOfJpeg(view) {
  for (let at = START; view.getUint8(at) === 0xff; at += 2 + view.getUint16(at + 2)) {
    const kind = view.getUint8(at + 1);
    const isFrame = kind >= 0xc0 && kind <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(kind);
    if (isFrame) return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
  }
  throw new Error("no frame");
}
