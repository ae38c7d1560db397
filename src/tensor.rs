//! The few tensor helpers that everybody needs.

use ndarray::{Array2, ArrayD};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::rng::Stream;

/// The version of LibTorch that this program is built for.
pub const LIBTORCH: &str = "2.11";

/// `[B]` host numbers as a tensor `[B, 1, …]` that broadcasts against `like` `[B, …]`, of its kind and on its device.
pub fn per_sample(values: &[f64], like: &Tensor) -> Tensor {
    let mut shape = vec![1; like.dim()];
    shape[0] = values.len() as i64;
    from_f64(values.to_vec(), &shape, (like.kind(), like.device()))
}

/// Host numbers as a factor for `like` `[B, …]`: one for each sample, or a single one for all.
pub fn each(values: &[f64], like: &Tensor) -> Tensor {
    match values {
        // Without dimensions, so that it acts as a plain number does and stays on the host.
        [value] => from_f64(vec![*value], &[], (like.kind(), Device::Cpu)),
        _ => per_sample(values, like),
    }
}

/// Numbers that follow from `given`, of each sample or of all, as factors for `like` ([`each`]).
pub fn factors<T>(given: &[T], like: &Tensor) -> impl Fn(fn(&T) -> f64) -> Tensor {
    move |of| each(&given.iter().map(of).collect::<Vec<_>>(), like)
}

/// Standard normals of the shape, kind and device of `like` `[B, …]`: draw `draw` of the samples `first..first + B`.
pub fn normals(stream: Stream, first: u64, draw: u32, like: &Tensor) -> Tensor {
    let mut values = vec![0.0; like.numel()];
    let batch = like.size()[0].max(1) as usize;
    stream.normals(first, draw, values.len() / batch, &mut values);
    from_f64(values, &like.size(), (like.kind(), like.device()))
}

/// The kind for work in which small differences show: float64, which Metal does not have.
pub fn finest(device: Device) -> Kind {
    if device == Device::Mps { Kind::Float } else { Kind::Double }
}

/// Host numbers, row-major, as a tensor of `shape`.
pub fn from_f64(values: Vec<f64>, shape: &[i64], (kind, device): (Kind, Device)) -> Tensor {
    let tensor = match kind {
        // Converted here, so that only half the bytes are copied (and uploaded).
        Kind::Float => Tensor::from_slice(&values.iter().map(|&v| v as f32).collect::<Vec<_>>()),
        _ => Tensor::from_slice(&values).to_kind(kind),
    };
    tensor.reshape(shape).to_device(device)
}

/// A tensor of any kind and device as an f64 array of its shape.
pub fn to_array(x: &Tensor) -> ArrayD<f64> {
    let shape: Vec<usize> = x.size().iter().map(|&n| n as usize).collect();
    let flat = x.to_device(Device::Cpu).to_kind(Kind::Double).contiguous().view(-1);
    let values = Vec::<f64>::try_from(flat).expect("a flat CPU tensor of doubles is a vector");
    ArrayD::from_shape_vec(shape, values).expect("the values fill the shape")
}

/// A batch `[B, …]` as rows `[B, D]` of f64.
pub fn to_rows(x: &Tensor) -> Array2<f64> {
    let batch = x.size()[0];
    let rows = to_array(&x.reshape([batch, -1]));
    rows.into_dimensionality().expect("a reshaped batch has two dimensions")
}

/// An f64 array as a tensor of the given kind on the given device.
pub fn from_array(array: &ArrayD<f64>, options: (Kind, Device)) -> Tensor {
    let shape: Vec<i64> = array.shape().iter().map(|&n| n as i64).collect();
    from_f64(array.iter().copied().collect(), &shape, options)
}

/// a x + b y.
pub fn combine(a: f64, x: &Tensor, b: f64, y: &Tensor) -> Tensor {
    weighted_sum(&[(a, x), (b, y)])
}

/// Σ w_i x_i of tensors of one shape, kind and device, w_i ≠ 0 and at least one.
///
/// On the CPU it is one pass over memory, in the order and with the rounding of the operations that it stands for.
pub fn weighted_sum(terms: &[(f64, &Tensor)]) -> Tensor {
    let first = terms[0].1;
    let plain = |x: &Tensor| x.device() == Device::Cpu && x.is_contiguous() && !x.requires_grad();
    let alike = |x: &Tensor| x.kind() == first.kind() && x.numel() == first.numel();
    if terms.iter().all(|(_, x)| plain(x) && alike(x)) {
        match first.kind() {
            Kind::Float => return in_one_pass(terms, |weight| weight as f32),
            Kind::Double => return in_one_pass(terms, |weight| weight),
            _ => {}
        }
    }
    let mut out = first * terms[0].0;
    for (weight, x) in &terms[1..] {
        out += *x * *weight;
    }
    out
}

/// Numbers that stay in the fastest cache while all terms are added to them.
const BLOCK: usize = 1024;

fn in_one_pass<T>(terms: &[(f64, &Tensor)], number: impl Fn(f64) -> T) -> Tensor
where
    T: Copy + std::ops::Mul<Output = T> + std::ops::AddAssign,
{
    let first = terms[0].1;
    let (out, count) = (first.empty_like(), first.numel());
    if count == 0 {
        return out;
    }
    // SAFETY: the caller has seen contiguous CPU tensors of the kind T with `count` numbers each; `out` is new and like
    // the first, and no other handle on it exists yet.
    let (target, sources) = unsafe {
        let source = |x: &Tensor| std::slice::from_raw_parts(x.data_ptr().cast::<T>().cast_const(), count);
        let sources: Vec<(T, &[T])> = terms.iter().map(|&(weight, x)| (number(weight), source(x))).collect();
        (std::slice::from_raw_parts_mut(out.data_ptr().cast::<T>(), count), sources)
    };
    for (block, target) in target.chunks_mut(BLOCK).enumerate() {
        let from = block * BLOCK;
        for (i, (weight, source)) in sources.iter().enumerate() {
            let source = &source[from..from + target.len()];
            if i == 0 {
                target.iter_mut().zip(source).for_each(|(t, &x)| *t = x * *weight);
            } else {
                target.iter_mut().zip(source).for_each(|(t, &x)| *t += x * *weight);
            }
        }
    }
    out
}

/// The numbers of a contiguous float32 tensor on the CPU, in place.
///
/// # Safety
/// Tensors share memory with their views and other handles: nothing else may use it while the slice lives.
///
/// # Panics
/// When the tensor is of another kind, elsewhere, or has gaps.
pub unsafe fn floats_mut(x: &mut Tensor) -> &mut [f32] {
    assert!(x.kind() == Kind::Float && x.device() == Device::Cpu && x.is_contiguous(), "not plain float32 memory");
    // SAFETY: a contiguous float32 tensor on the CPU is numel floats from data_ptr on, which live as long as `x`; the
    // caller answers for other handles.
    unsafe { std::slice::from_raw_parts_mut(x.data_ptr().cast(), x.numel()) }
}

/// Keeps the memory of freed tensors; to be called once, when a program starts.
///
/// glibc returns every large tensor to the kernel when it is freed, so that each step pays page faults for all of them
/// again.
pub fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets the allocator's thresholds, before any other thread runs.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
    }
}

/// The device that a user names `cpu`, `cuda`, `cuda:1` or `mps`, ready for use.
///
/// # Errors
/// An unknown name, or a device that this machine or this LibTorch does not have.
pub fn device(name: &str) -> Result<Device> {
    let unknown = || Error::argument(format!("--device {name}"), "unknown device", "write cpu, cuda, cuda:N or mps");
    match name.split_once(':') {
        None if name == "cpu" => Ok(Device::Cpu),
        None if name == "cuda" => cuda(name, 0),
        Some(("cuda", index)) => cuda(name, index.parse().map_err(|_| unknown())?),
        None if name == "mps" && tch::utils::has_mps() => Ok(Device::Mps),
        None if name == "mps" => Err(Error::argument(
            "--device mps",
            "this LibTorch has no Metal support",
            "use --device cpu, or run on a Mac with Apple silicon",
        )),
        _ => Err(unknown()),
    }
}

/// The program is linked against LibTorch's CPU half; the CUDA half registers itself when it is loaded.
fn cuda(name: &str, index: usize) -> Result<Device> {
    let unavailable = |problem: String, remedy: &str| Error::argument(format!("--device {name}"), problem, remedy);
    let library = c"libtorch_cuda.so";
    // SAFETY: loading LibTorch's own library; its initialisers only register operators.
    let handle = unsafe { libc::dlopen(library.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if handle.is_null() {
        // SAFETY: after a failed dlopen, dlerror returns a valid C string or null.
        let reason = unsafe {
            let text = libc::dlerror();
            if text.is_null() { "unknown reason".into() } else { std::ffi::CStr::from_ptr(text).to_string_lossy() }
        };
        return Err(unavailable(
            format!("LibTorch's CUDA libraries cannot be loaded ({reason})"),
            "install them with scripts/setup --cuda, or use --device cpu",
        ));
    }
    let count = tch::Cuda::device_count();
    if count <= index as i64 {
        return Err(unavailable(
            format!("CUDA sees {count} devices"),
            if count == 0 { "check the driver with nvidia-smi, or use --device cpu" } else { "name a smaller index" },
        ));
    }
    Ok(Device::Cuda(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn normals_are_the_same_in_every_precision_and_split() {
        let stream = Stream::new(3, Purpose::Prior);
        let like = Tensor::zeros([6, 2, 3], (Kind::Double, Device::Cpu));
        let whole = normals(stream, 0, 1, &like);
        assert_eq!(normals(stream, 0, 1, &like.to_kind(Kind::Float)), whole.to_kind(Kind::Float));
        assert_eq!(normals(stream, 4, 1, &like.narrow(0, 0, 2)), whole.narrow(0, 4, 2));
    }

    /// One pass rounds as the operations do, for every length, and gives way to them where gradients or strides are.
    #[test]
    fn a_weighted_sum_is_its_operations() {
        for kind in [Kind::Float, Kind::Double] {
            for count in [0, 1, 7, 1023, 1024, 2500] {
                let draw =
                    |n| normals(Stream::new(1, Purpose::Data), 0, n, &Tensor::empty([count, 3], (kind, Device::Cpu)));
                let [x, y, z] = [0, 1, 2].map(draw);
                let operations = &x * 0.3 + &y * -1.7 + &z * 1e-3;
                assert_eq!(weighted_sum(&[(0.3, &x), (-1.7, &y), (1e-3, &z)]), operations);
                let strided = weighted_sum(&[(0.3, &x.tr()), (-1.7, &y.tr()), (1e-3, &z.tr())]);
                assert_eq!(strided.tr(), operations);
                let gradient = weighted_sum(&[(0.3, &x.set_requires_grad(true)), (-1.7, &y)]);
                assert!(gradient.requires_grad());
            }
        }
    }

    #[test]
    fn per_sample_numbers_broadcast_at_every_rank() {
        for shape in [vec![2i64], vec![2, 3], vec![2, 3, 4, 4]] {
            let x = Tensor::ones(&shape, (Kind::Float, Device::Cpu));
            let y = &x * per_sample(&[2.0, 3.0], &x);
            assert_eq!(y.size(), shape);
            assert_eq!(y.narrow(0, 1, 1).max().double_value(&[]), 3.0);
            assert_eq!(&x * each(&[2.0, 3.0], &x), y);
            assert_eq!(&x * each(&[0.1], &x), &x * 0.1);
        }
    }

    #[test]
    fn unknown_and_missing_devices_say_what_to_do() {
        let text = device("gpu").unwrap_err().to_string();
        assert_eq!(text, "--device gpu: unknown device; write cpu, cuda, cuda:N or mps");
        assert_eq!(device("cuda:x").unwrap_err().exit_code(), 2);
    }
}
