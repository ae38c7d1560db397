// LibTorch's automatic mixed precision for one thread; see autocast.rs.

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

// Whether operators of this thread on the device of `like` compute in bfloat16 where that is safe, from now on; what was
// so before. Casts of parameters are not kept from one use to the next: each is used once in a forward pass.
extern "C" int ornstein_autocast(const at::Tensor* like, int on) {
  const auto device = like->device().type();
  const bool before = at::autocast::is_autocast_enabled(device);
  at::autocast::set_autocast_dtype(device, at::kBFloat16);
  at::autocast::set_autocast_cache_enabled(false);
  at::autocast::set_autocast_enabled(device, on != 0);
  return before ? 1 : 0;
}
