// A node of LibTorch's autograd graph whose backward is a Rust closure; see differentiable.rs.

#include <stdexcept>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

namespace {

// Fills `gradients` with owned tensors, or null where there is none; not 0 if it failed.
using Backward = int (*)(void* closure, const at::Tensor* gradient, at::Tensor** gradients, size_t count);
using Release = void (*)(void* closure);

struct ClosureNode : torch::autograd::Node {
  ClosureNode(void* closure, Backward backward, Release release, size_t inputs)
      : closure(closure), backward(backward), release(release), inputs(inputs) {}

  ~ClosureNode() override { release_variables(); }

  torch::autograd::variable_list apply(torch::autograd::variable_list&& outer) override {
    torch::autograd::variable_list gradients(inputs);
    if (!outer[0].defined()) return gradients;
    if (closure == nullptr) throw std::runtime_error("a graph was differentiated twice, and its tensors are freed");
    std::vector<at::Tensor*> owned(inputs, nullptr);
    const int failed = backward(closure, &outer[0], owned.data(), inputs);
    for (size_t i = 0; i < inputs; i++) {
      if (owned[i] == nullptr) continue;
      gradients[i] = *owned[i];
      delete owned[i];
    }
    if (failed) throw std::runtime_error("a gradient in Rust panicked");
    return gradients;
  }

  // Called as soon as the graph is no longer needed, so that what the closure keeps is freed early.
  void release_variables() override {
    if (closure != nullptr) release(closure);
    closure = nullptr;
  }

  std::string name() const override { return "OrnsteinBackward"; }

  void* closure;
  Backward backward;
  Release release;
  size_t inputs;
};

}  // namespace

// Makes `output`, a tensor of no graph, the result of a function of `inputs`. The closure is released by the node, or at
// once where no gradient is wanted.
extern "C" void ornstein_attach(at::Tensor* output, at::Tensor* const* inputs, size_t count, void* closure,
                                Backward backward, Release release) {
  torch::autograd::variable_list sources;
  for (size_t i = 0; i < count; i++) sources.push_back(*inputs[i]);
  bool wanted = false;
  for (const auto& source : sources) wanted = wanted || source.requires_grad();
  if (!(wanted && at::GradMode::is_enabled())) {
    release(closure);
    return;
  }
  auto node = std::shared_ptr<ClosureNode>(new ClosureNode(closure, backward, release, count),
                                           torch::autograd::deleteNode);
  node->set_next_edges(torch::autograd::collect_next_edges(sources));
  torch::autograd::set_history(*output, node);
}
