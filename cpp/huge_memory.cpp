// Layer 0. Large blocks from the system, and those that were given back.
#include "huge_memory.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <mutex>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace pyregions {

namespace {

constexpr std::size_t kHuge = std::size_t{1} << 21;  // a huge page; a block is large from here on
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kKept = 0;  // its checks of what is used after its release end where a block is used again
#else
// Bytes kept at most, twenty matrices of 768 x 784. A block of more than a quarter is not kept, nor are smaller ones given up for it.
constexpr std::size_t kKept = std::size_t{128} << 20;
#endif

void* from_system(std::size_t bytes) {  // or null
#ifdef __linux__
  void* memory = bytes < kHuge ? std::malloc(bytes) : std::aligned_alloc(kHuge, bytes);
  if (memory && bytes >= kHuge) madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: where it is not granted nothing changes
#else
  void* memory = std::malloc(bytes);
#endif
  return memory;
}

// Large blocks that were given back, the oldest first. Whoever finds it in use goes to the system instead of waiting; so does
// a process forked in that moment, for good.
class KeptBlocks {
 public:
  // Memory of that size, or null.
  void* take(std::size_t size) {
    const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return nullptr;
    for (std::size_t i = count_; i-- > 0;)
      if (blocks_[i].size == size) {
        void* const memory = blocks_[i].memory;
        remove(i);
        return memory;
      }
    return nullptr;
  }

  // Keeps it, in the place of the oldest blocks where there are too many. False: not done.
  bool put(void* memory, std::size_t size) {
    const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock() || size > kKept / 4) return false;
    while (bytes_ + size > kKept) free_oldest();
    blocks_[count_++] = {memory, size};
    bytes_ += size;
    return true;
  }

  // Gives all to the system, where memory ends.
  void clear() {
    const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    while (lock.owns_lock() && count_ > 0) free_oldest();
  }

 private:
  struct Block {
    void* memory;
    std::size_t size;
  };

  void free_oldest() {
    std::free(blocks_[0].memory);
    remove(0);
  }

  void remove(std::size_t i) {
    bytes_ -= blocks_[i].size;
    std::copy(blocks_.begin() + i + 1, blocks_.begin() + count_, blocks_.begin() + i);
    --count_;
  }

  std::mutex mutex_;
  std::array<Block, kKept / kHuge + 1> blocks_;
  std::size_t count_ = 0, bytes_ = 0;
};

KeptBlocks& kept() {
  static KeptBlocks& blocks = *new KeptBlocks;  // outlives whatever is released when the process ends
  return blocks;
}

std::size_t rounded(std::size_t bytes) {
  return bytes < kHuge ? std::max(bytes, std::size_t{1}) : (bytes + kHuge - 1) / kHuge * kHuge;
}

}  // namespace

void* allocate_bytes(std::size_t bytes) {
  const std::size_t size = rounded(bytes);
  void* memory = size < kHuge ? nullptr : kept().take(size);
  if (!memory) memory = from_system(size);
  if (memory) return memory;
  kept().clear();
  memory = from_system(size);
  if (!memory) throw std::bad_alloc();
  return memory;
}

void release_bytes(void* memory, std::size_t bytes) {
  const std::size_t size = rounded(bytes);
  if (size < kHuge || !kept().put(memory, size)) std::free(memory);
}

}  // namespace pyregions
