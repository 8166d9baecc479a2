//! The loop over the items of a message, compiled twice on x86-64: for any processor, and for those with AVX2.
//!
//! What is done with an item becomes part of the loop where the compiler can inline it, so that with AVX2 it swaps the bytes of
//! eight fields and divides four prices at a time: twice as fast (benches/README.md). Both give the same bits: a division
//! is rounded alike in any width, and nothing is fused.

use crate::container::{FrameError, Item};

/// Folds with the widest instructions that this processor has.
#[inline]
pub(crate) fn fold<'a, I, B, F>(items: I, init: B, each: F) -> B
where
    I: Iterator<Item = Result<Item<'a>, FrameError>>,
    F: FnMut(B, I::Item) -> B,
{
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("movbe") {
        #[expect(unsafe_code, reason = "calling what needs AVX2")]
        // SAFETY: the processor has AVX2 and MOVBE, as was asked just before.
        return unsafe { with_avx2(items, init, each) };
    }
    plain(items, init, each)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,movbe")]
fn with_avx2<I: Iterator, B, F: FnMut(B, I::Item) -> B>(items: I, init: B, each: F) -> B {
    plain(items, init, each)
}

#[inline]
fn plain<I: Iterator, B, F: FnMut(B, I::Item) -> B>(items: I, init: B, mut each: F) -> B {
    let mut folded = init;
    for item in items {
        folded = each(folded, item);
    }
    folded
}
