"""PyTorch twins of the detectors' bodies, with the names that published weights have."""


def torch_resnet(*, blocks, widths, classes=1, stem=(7, 2), pool=True, basic=False):
    """A ResNet of bottlenecks, or of basic blocks, as torchvision lays it out."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, read, width, stride, projection):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(read, width, 1, bias=False), nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(4 * width)
            self.downsample = None
            if projection:
                conv = nn.Conv2d(read, 4 * width, 1, stride, bias=False)
                self.downsample = nn.Sequential(conv, nn.BatchNorm2d(4 * width))

        def forward(self, x):
            y = torch.relu(self.bn1(self.conv1(x)))
            y = torch.relu(self.bn2(self.conv2(y)))
            y = self.bn3(self.conv3(y))
            return torch.relu(y + (x if self.downsample is None else self.downsample(x)))

    class Basic(nn.Module):
        def __init__(self, read, width, stride, projection):
            super().__init__()
            self.conv1 = nn.Conv2d(read, width, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.downsample = None
            if projection:
                conv = nn.Conv2d(read, width, 1, stride, bias=False)
                self.downsample = nn.Sequential(conv, nn.BatchNorm2d(width))

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            return torch.relu(y + (x if self.downsample is None else self.downsample(x)))

    make, expansion = (Basic, 1) if basic else (Block, 4)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            kernel, stride = stem
            self.conv1 = nn.Conv2d(3, widths[0], kernel, stride, kernel // 2, bias=False)
            self.bn1 = nn.BatchNorm2d(widths[0])
            self.maxpool = nn.MaxPool2d(3, 2, 1) if pool else nn.Identity()
            read = widths[0]
            self.stages = []
            for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
                layers = []
                for i in range(count):
                    stride = 2 if stage and not i else 1
                    layers.append(
                        make(read, width, stride, stride > 1 or read != expansion * width)
                    )
                    read = expansion * width
                self.stages.append(f"layer{stage + 1}")
                setattr(self, self.stages[-1], nn.Sequential(*layers))
            self.fc = nn.Linear(read, classes)

        def forward(self, x):
            x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
            for stage in self.stages:
                x = getattr(self, stage)(x)
            return self.fc(x.mean((2, 3)))

    return Net()


def torch_efficientnet(*, blocks, stem, head, classes=1):
    """An EfficientNet as efficientnet_pytorch lays it out; `blocks` as in `EfficientNet`."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Same(nn.Conv2d):
        """TensorFlow's padding: the odd pixel goes to the right and to the bottom."""

        def forward(self, x):
            (k,), (s,) = set(self.kernel_size), set(self.stride)
            totals = [max((-(-n // s) - 1) * s + k - n, 0) for n in x.shape[2:]]
            top, left = (total // 2 for total in totals)
            bottom, right = totals[0] - top, totals[1] - left
            return super().forward(functional.pad(x, (left, right, top, bottom)))

    def norm(features):
        return nn.BatchNorm2d(features, eps=1e-3)

    class Block(nn.Module):
        def __init__(self, read, block):
            super().__init__()
            kernel, stride, expand, features = block
            wide = read * expand
            self.widens, self.skip = expand != 1, stride == 1 and read == features
            if self.widens:
                self._expand_conv, self._bn0 = Same(read, wide, 1, bias=False), norm(wide)
            self._depthwise_conv = Same(wide, wide, kernel, stride, groups=wide, bias=False)
            self._bn1 = norm(wide)
            hidden = max(1, int(read * 0.25))
            self._se_reduce, self._se_expand = Same(wide, hidden, 1), Same(hidden, wide, 1)
            self._project_conv, self._bn2 = Same(wide, features, 1, bias=False), norm(features)

        def forward(self, x):
            y = functional.silu(self._bn0(self._expand_conv(x))) if self.widens else x
            y = functional.silu(self._bn1(self._depthwise_conv(y)))
            gate = self._se_reduce(y.mean((2, 3), keepdim=True))
            y = torch.sigmoid(self._se_expand(functional.silu(gate))) * y
            y = self._bn2(self._project_conv(y))
            return y + x if self.skip else y

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self._conv_stem, self._bn0 = Same(3, stem, 3, 2, bias=False), norm(stem)
            reads = [stem, *(block[3] for block in blocks)]
            self._blocks = nn.ModuleList(map(Block, reads, blocks))
            self._conv_head, self._bn1 = Same(reads[-1], head, 1, bias=False), norm(head)
            self._fc = nn.Linear(head, classes)

        def forward(self, x):
            x = functional.silu(self._bn0(self._conv_stem(x)))
            for block in self._blocks:
                x = block(x)
            x = functional.silu(self._bn1(self._conv_head(x)))
            return self._fc(x.mean((2, 3)))

    return Net()
