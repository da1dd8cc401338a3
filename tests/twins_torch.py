"""Networks of published PyTorch code, written anew in PyTorch, for tests and benchmarks.

Only imported where PyTorch is installed.
"""

import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional as F  # pyright: ignore[reportMissingImports]


class _Unit(nn.Module):
    def __init__(self, channels, features, kernel=1, **options):
        super().__init__()
        self.conv = nn.Conv2d(channels, features, kernel, bias=False, **options)
        self.bn = nn.BatchNorm2d(features, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


def _mean_pool(x):
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class _Block(nn.Module):
    """Units by name; what goes where is a function of them and the input."""

    def __init__(self, units, run):
        super().__init__()
        for name, unit in units.items():
            self.add_module(name, unit)
        self.run = run

    def forward(self, x):
        return torch.cat(self.run(self, x), 1)


def _a(channels, pooled):
    def run(b, x):
        double = b.branch3x3dbl_3(b.branch3x3dbl_2(b.branch3x3dbl_1(x)))
        pool = b.branch_pool(_mean_pool(x))
        return [b.branch1x1(x), b.branch5x5_2(b.branch5x5_1(x)), double, pool]

    units = {
        "branch1x1": _Unit(channels, 64),
        "branch5x5_1": _Unit(channels, 48),
        "branch5x5_2": _Unit(48, 64, 5, padding=2),
        "branch3x3dbl_1": _Unit(channels, 64),
        "branch3x3dbl_2": _Unit(64, 96, 3, padding=1),
        "branch3x3dbl_3": _Unit(96, 96, 3, padding=1),
        "branch_pool": _Unit(channels, pooled),
    }
    return _Block(units, run)


def _b(channels):
    def run(b, x):
        double = b.branch3x3dbl_3(b.branch3x3dbl_2(b.branch3x3dbl_1(x)))
        return [b.branch3x3(x), double, F.max_pool2d(x, 3, 2)]

    units = {
        "branch3x3": _Unit(channels, 384, 3, stride=2),
        "branch3x3dbl_1": _Unit(channels, 64),
        "branch3x3dbl_2": _Unit(64, 96, 3, padding=1),
        "branch3x3dbl_3": _Unit(96, 96, 3, stride=2),
    }
    return _Block(units, run)


_ROW, _COLUMN = {"kernel": (1, 7), "padding": (0, 3)}, {"kernel": (7, 1), "padding": (3, 0)}


def _c(channels, inner):
    def run(b, x):
        y = b.branch7x7_3(b.branch7x7_2(b.branch7x7_1(x)))
        z = b.branch7x7dbl_3(b.branch7x7dbl_2(b.branch7x7dbl_1(x)))
        z = b.branch7x7dbl_5(b.branch7x7dbl_4(z))
        return [b.branch1x1(x), y, z, b.branch_pool(_mean_pool(x))]

    units = {
        "branch1x1": _Unit(channels, 192),
        "branch7x7_1": _Unit(channels, inner),
        "branch7x7_2": _Unit(inner, inner, **_ROW),
        "branch7x7_3": _Unit(inner, 192, **_COLUMN),
        "branch7x7dbl_1": _Unit(channels, inner),
        "branch7x7dbl_2": _Unit(inner, inner, **_COLUMN),
        "branch7x7dbl_3": _Unit(inner, inner, **_ROW),
        "branch7x7dbl_4": _Unit(inner, inner, **_COLUMN),
        "branch7x7dbl_5": _Unit(inner, 192, **_ROW),
        "branch_pool": _Unit(channels, 192),
    }
    return _Block(units, run)


def _d(channels):
    def run(b, x):
        seven = b.branch7x7x3_3(b.branch7x7x3_2(b.branch7x7x3_1(x)))
        return [b.branch3x3_2(b.branch3x3_1(x)), b.branch7x7x3_4(seven), F.max_pool2d(x, 3, 2)]

    units = {
        "branch3x3_1": _Unit(channels, 192),
        "branch3x3_2": _Unit(192, 320, 3, stride=2),
        "branch7x7x3_1": _Unit(channels, 192),
        "branch7x7x3_2": _Unit(192, 192, **_ROW),
        "branch7x7x3_3": _Unit(192, 192, **_COLUMN),
        "branch7x7x3_4": _Unit(192, 192, 3, stride=2),
    }
    return _Block(units, run)


def _e(channels, pool):
    def run(b, x):
        three, double = b.branch3x3_1(x), b.branch3x3dbl_2(b.branch3x3dbl_1(x))
        return [
            b.branch1x1(x),
            b.branch3x3_2a(three),
            b.branch3x3_2b(three),
            b.branch3x3dbl_3a(double),
            b.branch3x3dbl_3b(double),
            b.branch_pool(pool(x)),
        ]

    row, column = {"kernel": (1, 3), "padding": (0, 1)}, {"kernel": (3, 1), "padding": (1, 0)}
    units = {
        "branch1x1": _Unit(channels, 320),
        "branch3x3_1": _Unit(channels, 384),
        "branch3x3_2a": _Unit(384, 384, **row),
        "branch3x3_2b": _Unit(384, 384, **column),
        "branch3x3dbl_1": _Unit(channels, 448),
        "branch3x3dbl_2": _Unit(448, 384, 3, padding=1),
        "branch3x3dbl_3a": _Unit(384, 384, **row),
        "branch3x3dbl_3b": _Unit(384, 384, **column),
        "branch_pool": _Unit(channels, 192),
    }
    return _Block(units, run)


class Inception(nn.Module):
    """The FID Inception: prepared images [b, 3, h, w] to (pool3, logits, logits without bias)."""

    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = _Unit(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = _Unit(32, 32, 3)
        self.Conv2d_2b_3x3 = _Unit(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = _Unit(64, 80)
        self.Conv2d_4a_3x3 = _Unit(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _a(192, 32), _a(256, 64), _a(288, 64)
        self.Mixed_6a = _b(288)
        self.Mixed_6b, self.Mixed_6c = _c(768, 128), _c(768, 160)
        self.Mixed_6d, self.Mixed_6e = _c(768, 160), _c(768, 192)
        self.Mixed_7a = _d(768)
        self.Mixed_7b = _e(1280, _mean_pool)
        self.Mixed_7c = _e(2048, lambda x: F.max_pool2d(x, 3, 1, 1))
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x):
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        x = self.Mixed_6e(self.Mixed_6d(x))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        pool3 = x.mean((2, 3))
        unbiased = pool3 @ self.fc.weight.T
        return pool3, unbiased + self.fc.bias, unbiased


def inception_twin(state=None):
    """The network in evaluation mode, with the arrays of a state dict (default: random)."""
    net = Inception()
    if state is not None:
        net.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    return net.eval()


class _Added(nn.Module):
    def forward(self, x, y):
        return x + y


class _Bottleneck(nn.Module):
    def __init__(self, read, width, stride, added):
        super().__init__()
        self.branch = nn.Sequential(
            *_normed(read, width, 1),
            nn.ReLU(),
            *_normed(width, width, 3, stride),
            nn.ReLU(),
            *_normed(width, 4 * width, 1),
        )
        same = read == 4 * width
        self.shortcut = nn.Sequential(*([] if same else _normed(read, 4 * width, 1, stride)))
        self.added, self.relu = added(), nn.ReLU()

    def forward(self, x):
        return self.relu(self.added(self.branch(x), self.shortcut(x)))


def _normed(read, made, kernel, stride=1):
    conv = nn.Conv2d(read, made, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(made)]


def resnet50_twin(added=_Added):
    """ResNet-50 with one logit; `added` makes the modules of two arguments that sum branches."""
    layers, read = [*_normed(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for stage, (count, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for i in range(count):
            layers.append(_Bottleneck(read, width, 2 if stage and not i else 1, added))
            read = 4 * width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(read, 1)]
    return nn.Sequential(*layers)
