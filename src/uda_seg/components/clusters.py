"""Groups of things that look alike, found by k-means, and the class of each group.

Of superpixels in RPT (Zhang et al., CVPR 2020, arXiv:2006.06570).
"""

import torch
import torch.nn.functional as F
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor

WIDTH = 128
"""Ours: of features that are kept. 2,975 images x 768 superpixels x 2048 channels would be 19 GB in
single precision; so they are 1.2 GB, and a distance costs a sixteenth. A random projection to 128
numbers keeps cosines to about 1 / sqrt(128) = 0.09 (Johnson and Lindenstrauss, 1984)."""
LEAST_BATCH = 1024
"""scikit-learn's batch."""
EPOCHS = 3
"""Ours: a bound. k-means over mini-batches gains little after one pass over that many points."""
CHUNK = 8192
"""Points whose distances are held at once: 67 MB for 2048 clusters."""


def compact(features: Tensor, seed: int) -> Tensor:
    """(n, D) to (n, min(D, WIDTH)): of length 1, on a fixed random projection where too wide.

    Args:
        features: any floats; rows of zeros stay zeros.
        seed: of the projection, the same on every process and device.
    """
    features = F.normalize(features.float(), dim=1)
    if features.shape[1] <= WIDTH:
        return features
    random = torch.Generator().manual_seed(seed)
    projection = torch.randn(features.shape[1], WIDTH, generator=random)
    with torch.autocast(features.device.type, enabled=False):
        projected = features @ projection.to(features.device)
    # A projection keeps lengths as roughly as cosines, and they are known to be 1.
    return F.normalize(projected, dim=1)


def cluster(features: Tensor, clusters: int, seed: int) -> Tensor:
    """Centres (K, D) of k-means on CPU, on the features' device; (n, D), the features themselves,
    if there are no more of them than clusters.

    Args:
        features: (n, D) as `compact` gives them, n > 0.
        clusters: K.
        seed: same features and seed, same centres.
    """
    if len(features) <= clusters:
        return features.clone()
    # A mini-batch should hold several points of most clusters, or their centres jump about (ours).
    batch = max(LEAST_BATCH, 4 * clusters)
    means = MiniBatchKMeans(
        clusters,
        batch_size=batch,
        init_size=batch,
        max_iter=EPOCHS,
        n_init=1,
        compute_labels=False,  # `nearest` is faster
        random_state=seed,
    )
    centres = means.fit(features.float().cpu().numpy()).cluster_centers_
    return torch.from_numpy(centres).to(features.device)


def nearest(features: Tensor, centres: Tensor) -> Tensor:
    """(n,) long: the centre with the smallest Euclidean distance, the first of equals.

    Args:
        features: (n, D).
        centres: (K, D).
    """
    # |f - c|^2 without |f|^2, which is the same for all centres.
    squares = centres.square().sum(1)
    with torch.autocast(features.device.type, enabled=False):  # it would round the distances
        chosen = [
            torch.addmm(squares, chunk, centres.T, alpha=-2).argmin(1)
            for chunk in features.split(CHUNK)
        ]
    return torch.cat(chosen)


def class_counts(members: Tensor, labels: Tensor, clusters: int, classes: int) -> Tensor:
    """(K, C) long: members of each class in each cluster; sums over processes may be taken.

    `superpixels.dominant` decides from them: the cluster's class and its share.

    Args:
        members: (n,) long, the cluster each member is in.
        labels: (n,) long, its class; what is no class, such as IGNORE, is not counted.
        clusters: K.
        classes: C.
    """
    counted = (labels >= 0) & (labels < classes)
    cells = (members * classes + labels)[counted]
    return torch.bincount(cells, minlength=clusters * classes).view(clusters, classes)
