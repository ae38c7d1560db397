//! Event files that TensorBoard reads, as bytes.
//!
//! A file is a row of records in TFRecord framing: the length n of the data as 8 bytes, the masked CRC of these 8 bytes
//! as 4, n bytes of data, the masked CRC of the data as 4; all little-endian. The CRC is CRC-32C (Castagnoli; RFC 3720,
//! appendix B.4), rotated right by 15 bits plus 0xA282EAD8 (tensorflow/core/lib/hash/crc32c.h). The data of a record are an
//! `Event` in protocol buffers (tensorboard/compat/proto/event.proto, summary.proto and histogram.proto); the first one
//! names the version of the format. Fields are in the order of their numbers, and zeros are left out, as proto3 does it.
//!
//! The length of a record does not depend on its wall time, so that a file which is cut and written on has every record
//! where it was.

/// The version of the format, as the first record names it.
const VERSION: &str = "brain.Event:2";

/// The first record of a file, made at `wall_time` in seconds since 1970.
pub fn header(wall_time: f64) -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, wall_time);
    event.bytes(3, VERSION.as_bytes());
    record(&event.0)
}

/// Something to show under a tag.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A point of a curve; it is stored in single precision.
    Scalar(f64),
    /// How numbers are distributed.
    Histogram(&'a Histogram),
    /// A picture.
    Image {
        /// Its width and height in pixels.
        size: (u32, u32),
        /// A PNG file with three channels.
        png: &'a [u8],
    },
}

/// A record with values of one `step`, each under its tag; tags with a common start up to `/` are shown side by side.
pub fn event(wall_time: f64, step: usize, values: &[(&str, Value)]) -> Vec<u8> {
    let mut summary = Message::default();
    for (tag, value) in values {
        let mut entry = Message::default();
        entry.bytes(1, tag.as_bytes());
        match value {
            Value::Scalar(value) => entry.float(2, *value as f32),
            Value::Image { size: (width, height), png } => {
                let mut image = Message::default();
                image.integer(1, u64::from(*height));
                image.integer(2, u64::from(*width));
                image.integer(3, 3);
                image.bytes(4, png);
                entry.bytes(4, &image.0);
            }
            Value::Histogram(histogram) => entry.bytes(5, &histogram.message().0),
        }
        summary.bytes(1, &entry.0);
    }
    let mut event = Message::default();
    event.double(1, wall_time);
    event.integer(2, step as u64);
    event.bytes(5, &summary.0);
    record(&event.0)
}

/// How many numbers lie where, and their moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    min: f64,
    max: f64,
    sum: f64,
    sum_squares: f64,
    /// The upper end of each bucket; the first one starts at the least number.
    limits: Vec<f64>,
    /// How many numbers are in it. A number on the border of two is in the upper one.
    counts: Vec<f64>,
}

/// Buckets of a histogram, as many as TensorBoard's own summaries have and its page draws.
const BUCKETS: usize = 30;

impl Histogram {
    /// Of all numbers that are finite, in buckets of one width between the least and the greatest.
    pub fn of(values: &[f64]) -> Self {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let Some(min) = finite().reduce(f64::min) else { return Histogram::default() };
        let max = finite().fold(min, f64::max);
        let (mut sum, mut sum_squares) = (0.0, 0.0);
        // Of numbers that are all the same there is one bucket without a width.
        let n = if min < max { BUCKETS } else { 1 };
        let mut counts = vec![0.0; n];
        for value in finite() {
            sum += value;
            sum_squares += value * value;
            let place = if n == 1 { 0.0 } else { (value - min) / (max - min) * n as f64 };
            counts[(place as usize).min(n - 1)] += 1.0;
        }
        let limit = |i: usize| if i == n { max } else { min + (max - min) * i as f64 / n as f64 };
        Histogram { min, max, sum, sum_squares, limits: (1..=n).map(limit).collect(), counts }
    }

    fn message(&self) -> Message {
        let mut message = Message::default();
        message.double(1, self.min);
        message.double(2, self.max);
        message.double(3, self.counts.iter().sum());
        message.double(4, self.sum);
        message.double(5, self.sum_squares);
        message.doubles(6, &self.limits);
        message.doubles(7, &self.counts);
        message
    }
}

/// Data in their frame.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let [of_length, of_data] = [&length[..], data].map(|bytes| masked_crc(bytes).to_le_bytes());
    [&length[..], &of_length, data, &of_data].concat()
}

fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// A message in protocol buffers: fields, each with its number and the type of what follows.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// 64 or 32 bits, a length, a number of any size.
    const BITS_64: u64 = 1;
    const BITS_32: u64 = 5;
    const LENGTH: u64 = 2;
    const VARINT: u64 = 0;

    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    /// Seven bits a byte, the lowest first; the eighth says that there are more.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn integer(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.key(field, Self::VARINT);
            self.varint(value);
        }
    }

    fn double(&mut self, field: u64, value: f64) {
        if value.to_bits() != 0 {
            self.key(field, Self::BITS_64);
            self.0.extend(value.to_le_bytes());
        }
    }

    /// One of several alternatives, which is written even where it is zero.
    fn float(&mut self, field: u64, value: f32) {
        self.key(field, Self::BITS_32);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, Self::LENGTH);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    fn doubles(&mut self, field: u64, values: &[f64]) {
        if !values.is_empty() {
            self.bytes(field, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 3720, appendix B.4.
    #[test]
    fn the_crc_is_that_of_castagnoli() {
        let rising: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).rev().collect();
        for (data, crc) in [
            (&[0; 32][..], 0x8A91_36AA),
            (&[0xFF; 32], 0x62A8_AB43),
            (&rising, 0x46DD_794E),
            (&falling, 0x113F_DB5C),
            (b"123456789", 0xE306_9283),
        ] {
            assert_eq!(crc32c::crc32c(data), crc, "{data:?}");
        }
    }

    /// What TensorBoard 2.21 writes:
    ///
    /// ```python
    /// from tensorboard.compat.proto import event_pb2, summary_pb2
    /// from tensorboard.summary.writer.record_writer import RecordWriter
    /// def hexed(event):
    ///     out = io.BytesIO(); RecordWriter(out).write(event.SerializeToString()); return out.getvalue().hex()
    /// V, t = summary_pb2.Summary.Value, 1700000000.25
    /// hexed(event_pb2.Event(wall_time=t, file_version="brain.Event:2"))
    /// hexed(event_pb2.Event(wall_time=t, step=300, summary=summary_pb2.Summary(value=[
    ///     V(tag="train/loss", simple_value=0.5), V(tag="lr", simple_value=0.0),
    ///     V(tag="w", histo=summary_pb2.HistogramProto(min=-1.0, max=3.0, num=4, sum=2.0, sum_squares=11.0,
    ///         bucket_limit=[1.0, 3.0], bucket=[2, 2])),
    ///     V(tag="figure", image=summary_pb2.Summary.Image(height=3, width=200, colorspace=3,
    ///         encoded_image_string=b"PNG"))])))
    /// ```
    #[test]
    fn records_are_those_of_tensorboards_writer() {
        let t = 1_700_000_000.25;
        let version = "1800000000000000a37f4b220900001040fc54d9411a0d627261696e2e4576656e743a32338d2fe9";
        assert_eq!(hex(&header(t)), version);
        let histogram = Histogram {
            min: -1.0,
            max: 3.0,
            sum: 2.0,
            sum_squares: 11.0,
            limits: vec![1.0, 3.0],
            counts: vec![2.0, 2.0],
        };
        let values = [
            ("train/loss", Value::Scalar(0.5)),
            ("lr", Value::Scalar(0.0)),
            ("w", Value::Histogram(&histogram)),
            ("figure", Value::Image { size: (200, 3), png: b"PNG" }),
        ];
        let all = "9d00000000000000631717500900001040fc54d94110ac022a8e010a110a0a747261696e2f6c6f7373150000003f0a090a02\
                   6c7215000000000a560a01772a5109000000000000f0bf1100000000000008401900000000000010402100000000000000\
                   402900000000000026403210000000000000f03f00000000000008403a10000000000000004000000000000000400a160a\
                   06666967757265220c080310c80118032203504e475c749235";
        assert_eq!(hex(&event(t, 300, &values)), all);
    }

    #[test]
    fn histograms_count_every_finite_number() {
        let values: Vec<f64> = (0..600).map(|i| f64::from(i) / 599.0).chain([f64::NAN, f64::INFINITY]).collect();
        let Histogram { min, max, sum, sum_squares, limits, counts } = Histogram::of(&values);
        assert_eq!((min, max, limits.len(), counts.iter().sum::<f64>()), (0.0, 1.0, BUCKETS, 600.0));
        assert!((sum - 300.0).abs() < 1e-9 && (sum_squares - 600.0 * 1199.0 / (6.0 * 599.0)).abs() < 1e-9);
        assert!(counts.iter().all(|&count| count == 20.0), "{counts:?}");
        assert!(limits.is_sorted() && limits[0] == 1.0 / 30.0 && limits[29] == 1.0);
        let same = Histogram::of(&[0.0; 7]);
        assert_eq!((same.limits, same.counts), (vec![0.0], vec![7.0]));
        assert_eq!(Histogram::of(&[f64::NAN]), Histogram::default());
        // Round-off leaves no number outside.
        for pair in [[1.0, 1.0 + f64::EPSILON], [0.0, 5e-324], [-1e30, 1e30]] {
            assert_eq!(Histogram::of(&pair).counts.iter().sum::<f64>(), 2.0, "{pair:?}");
        }
    }
}
