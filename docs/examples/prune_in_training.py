"""Prune a network in the middle of a training script of the usual kind.

    python prune_in_training.py

The script is plain PyTorch. What swarmopt adds stands between the two calls of `train`.
"""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from swarmopt_pruning import Budget, ChannelGraph, constrain


def network() -> nn.Module:
    """Return a small network for images of 16 x 16."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 4),
    )


def quadrants(n: int, seed: int) -> TensorDataset:
    """Return n noisy images (n, 1, 16, 16) with a bright spot, and in which quarter it is (n,)."""
    rng = torch.Generator().manual_seed(seed)
    images = 0.3 * torch.randn(n, 1, 16, 16, generator=rng)
    quarter = torch.randint(4, (n,), generator=rng)
    ramp = torch.linspace(0, 1, 16)
    images[:, 0] += ramp[:, None] * 0.5 + ramp * 0.25  # says where up and left are
    for image, q in zip(images, quarter.tolist(), strict=True):
        row, column = 8 * (q // 2), 8 * (q % 2)
        image[0, row + 2 : row + 6, column + 2 : column + 6] += 1
    return TensorDataset(images, quarter)


def train(net: nn.Module, data: TensorDataset, epochs: int) -> None:
    """Train the network in place."""
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    net.train()
    for _ in range(epochs):
        for images, labels in DataLoader(data, batch_size=32, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images), labels).backward()
            optimizer.step()


@torch.no_grad()
def accuracy(net: nn.Module, data: TensorDataset) -> float:
    """Return the share of images that the network gets right."""
    images, labels = data.tensors
    net.eval()
    right: Tensor = net(images).argmax(dim=1) == labels
    return float(right.float().mean())


def main() -> None:
    """Train, prune to half of the multiply-adds, train on."""
    torch.manual_seed(0)
    training, testing = quadrants(512, seed=1), quadrants(256, seed=2)
    net = network()
    train(net, training, epochs=6)
    print(f"trained: accuracy {accuracy(net, testing):.3f}")

    net.eval()
    graph = ChannelGraph.trace(net, (training.tensors[0][:2],))
    widths = constrain(graph.groups, minimum=0.25).fit(Budget.of(graph, macs=0.5))
    plan = graph.plan(widths, importance="l1")
    net = plan.apply(net)  # a smaller network; make the optimizer for it anew
    plan.save("plan.json")  # with the original's code, enough to build it again

    before, after = graph.macs([list(graph.widths), [len(plan.kept[n]) for n in graph.names]])
    share = f"{after / before:.0%} of the multiply-adds"
    print(f"pruned to {share}: accuracy {accuracy(net, testing):.3f}")
    train(net, training, epochs=3)
    print(f"fine-tuned: accuracy {accuracy(net, testing):.3f}")


if __name__ == "__main__":
    main()
