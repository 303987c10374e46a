"""Names of torch functions and what they make of an answer."""

from __future__ import annotations

from typing import Any

SOFTMAX, SIGMOID, NUMBER, ANGLE, OTHER = "softmax", "sigmoid", "number", "angle", "other"
"""How a loss reads an answer."""

LOSSES = {
    **dict.fromkeys(("cross_entropy", "nll_loss", "multi_margin_loss", "kl_div", "linear_cross_entropy"), SOFTMAX),
    **dict.fromkeys(("binary_cross_entropy_with_logits", "binary_cross_entropy"), SIGMOID),
    **dict.fromkeys(("multilabel_soft_margin_loss", "soft_margin_loss"), SIGMOID),
    **dict.fromkeys(("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"), NUMBER),
    **dict.fromkeys(("gaussian_nll_loss", "poisson_nll_loss"), NUMBER),
    **dict.fromkeys(("triplet_margin_loss", "triplet_margin_with_distance_loss", "cosine_embedding_loss"), ANGLE),
    **dict.fromkeys(("cosine_similarity", "pairwise_distance", "cdist", "hinge_embedding_loss"), ANGLE),
    **dict.fromkeys(("margin_ranking_loss", "ctc_loss", "multilabel_margin_loss"), OTHER),
}
LINKS = {
    **dict.fromkeys(("softmax", "log_softmax", "gumbel_softmax"), SOFTMAX),
    **dict.fromkeys(("sigmoid", "logsigmoid", "log_sigmoid"), SIGMOID),
}
"""From logits to what a loss by hand reads."""
BESIDE = LINKS | {"softplus": SIGMOID, "logsumexp": SOFTMAX}
"""What stands beside a product of logits and target, and tells how the logits are meant."""
PROBABLE = frozenset(("softmax", "gumbel_softmax", "sigmoid"))
"""Functions that return probabilities."""

PICKS = frozenset(("gather", "__getitem__", "index_select", "take_along_dim"))
TABLES = PICKS | {"take"}
LOOKED_UP = "looked_up"
"""What an index that is made of the batch takes out of what is no answer: a class by its number in another list."""
DIVISIONS = frozenset(("div", "divide", "true_divide", "__truediv__"))
SCALES = DIVISIONS | {"mul", "multiply", "__mul__", "__rmul__"}
PRODUCTS = frozenset(("mul", "multiply", "__mul__", "__rmul__", "xlogy", "where"))
DIFFERENCES = frozenset(("sub", "subtract", "__sub__", "__rsub__", "rsub"))
BY_HAND = PICKS | PRODUCTS | DIFFERENCES
"""Where a loss that is written by hand brings answer and target together."""

SIZES = frozenset("pow __pow__ square abs absolute norm vector_norm linalg_norm linalg_vector_norm log1p sqrt cosh".split())
"""How large a difference is."""
MAXIMA = frozenset(("max", "maximum", "where"))
"""Of two multiples of a difference they take the one that counts: a quantile's loss."""
SQUARES = frozenset(("mul", "multiply", "__mul__"))
SUMS = frozenset(("add", "__add__", "__radd__", "sub", "__sub__"))
REDUCTIONS = frozenset("sum mean max amax amin min std var norm logsumexp nansum nanmean".split())
SLICES = frozenset("__getitem__ split chunk unbind narrow select tensor_split masked_select".split())
PART_OF_ROW = frozenset(("__getitem__", "split", "chunk", "narrow", "tensor_split"))
STACKS = frozenset("cat concat concatenate vstack row_stack".split())
BENDS = frozenset("softplus exp log relu digamma lgamma tanh square pow".split())
"""After these a product with the target is none of the logits."""
CHANGES = frozenset(LINKS) | BENDS | SCALES | SUMS | frozenset("neg negative __neg__ __rsub__ rsub cumsum sin cos".split())
"""After these a number is another one."""
MOVES = frozenset(("grid_sample", "grid_sampler"))
"""Their second tensor says where the pixels of the first are taken from."""
COMPARISONS = frozenset("eq ne gt lt ge le __eq__ __ne__ __gt__ __lt__ __ge__ __le__".split())
CUTS = COMPARISONS | frozenset("detach data argmax argsort isnan sign bincount histc one_hot".split())
"""No gradient goes through them."""
ALIKE = frozenset(
    "matmul __matmul__ __rmatmul__ mm bmm einsum cdist cosine_similarity pairwise_distance linear dot inner baddbmm addmm".split()
)
"""Two sides are compared with each other, row by row."""
LAYERS = frozenset(("linear", "addmm"))
LENGTHS = frozenset(("normalize", "norm", "linalg_norm", "linalg_vector_norm", "cdist"))
"""An answer of which only the direction, or a distance, is used."""

ORDERS = frozenset("gt ge lt le __gt__ __ge__ __lt__ __le__ cumsum".split())
HOTS = frozenset(("one_hot", "scatter", "eye", "__eq__", "eq"))
OF_FIRST = frozenset(("type_as", "view_as", "expand_as", "reshape_as", "to", "resize_as"))
"""Of their second tensor they take type or shape."""
SILENT = frozenset(("grad", "grad_fn", "_base", "_make_subclass", "_backward_hooks", "__set__", "requires_grad"))
"""They make nothing of what they are given."""


def name_of(function: Any) -> str:
    """The name of a torch function, the same for its in-place form; of the getter of a property, the property's."""
    name = str(getattr(function, "__name__", ""))
    if name == "__get__":
        name = str(getattr(getattr(function, "__self__", None), "__name__", name))
    return name if name.startswith("__") else name.rstrip("_")


def is_of_shape_only(name: str) -> bool:
    """Whether a function takes no more than shape and type of what it is given."""
    return name.endswith("_like") or name.startswith("new_")
