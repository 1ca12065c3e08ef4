// Layer 0. Memory of large matrices: in huge pages where the system has them, since to fetch it in small ones takes as long as to
// fill it; and blocks used again, since the system clears each page it hands out, one thread at a time.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace pyregions {

void* allocate_bytes(std::size_t bytes);
void release_bytes(void* memory, std::size_t bytes);  // bytes as they were asked for

template <class T>
struct HugeAllocator {
  using value_type = T;
  HugeAllocator() = default;
  template <class U>
  HugeAllocator(const HugeAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(allocate_bytes(n * sizeof(T))); }
  void deallocate(T* p, std::size_t n) { release_bytes(p, n * sizeof(T)); }
  template <class U, class... Values>
  void construct(U* p, Values&&... values) { ::new (static_cast<void*>(p)) U(std::forward<Values>(values)...); }
  template <class U>
  void construct(U* p) { ::new (static_cast<void*>(p)) U; }  // left as it is
  friend bool operator==(const HugeAllocator&, const HugeAllocator&) { return true; }
  friend bool operator!=(const HugeAllocator&, const HugeAllocator&) { return false; }
};

}  // namespace pyregions
