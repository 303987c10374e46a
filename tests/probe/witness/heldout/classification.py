"""One class or several tags per image, under the losses people write themselves."""

from .parts import *


class RunningMean:
    def __init__(self):
        self.total, self.n = 0.0, 0

    def update(self, v, n=1):
        self.total += float(v) * n
        self.n += n

    @property
    def avg(self):
        return self.total / max(self.n, 1)


class Cassava(Lit):
    """Leaf disease notebook: smoothing, an averaging meter, forward()."""

    def __init__(self):
        super().__init__()
        self.model = classifier(5)
        self.criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
        self.acc = RunningMean()

    def forward(self, x):
        return self.model(x)

    def _step(self, batch):
        image, target = batch["image"], batch["target"]
        logits = self(image)
        self.acc.update((logits.argmax(1) == target).float().mean(), len(target))
        return self.criterion(logits, target)

    def training_step(self, batch, batch_idx):
        loss = self._step(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self._step(batch), prog_bar=True)


def make_cassava():
    return Cassava(), *dicts(image=pixels(), target=classes(5))


class FocalLoss(nn.Module):
    def __init__(self, gamma=2.0, weight=None):
        super().__init__()
        self.gamma = gamma
        self.register_buffer("weight", weight)

    def forward(self, inputs, targets):
        logp = F.log_softmax(inputs, dim=-1)
        logpt = logp.gather(1, targets.unsqueeze(1)).squeeze(1)
        pt = logpt.exp()
        loss = -((1 - pt) ** self.gamma) * logpt
        if self.weight is not None:
            loss = loss * self.weight[targets]
        return loss.mean()


class Focal(Lit):
    def __init__(self):
        super().__init__()
        self.net = classifier(7)
        self.loss_fn = FocalLoss(weight=torch.linspace(0.5, 2, 7))

    def training_step(self, batch, _):
        x, y = batch
        return self.loss_fn(self.net(x), y)

    def validation_step(self, batch, _):
        x, y = batch
        out = self.net(x)
        self.log_dict({"val/loss": self.loss_fn(out, y), "val/acc": (out.argmax(-1) == y).float().mean()})


def make_focal():
    return Focal(), *tuples(pixels(), classes(7))


class Melanoma(Lit):
    """Binary focal loss on sigmoids."""

    def __init__(self):
        super().__init__()
        self.net = classifier(1)

    @staticmethod
    def focal(p, t, alpha=0.25, gamma=2):
        ce = -(t * torch.log(p.clamp(1e-6)) + (1 - t) * torch.log((1 - p).clamp(1e-6)))
        pt = p * t + (1 - p) * (1 - t)
        at = alpha * t + (1 - alpha) * (1 - t)
        return (at * (1 - pt) ** gamma * ce).mean()

    def training_step(self, batch, _):
        x, y = batch
        return self.focal(torch.sigmoid(self.net(x)).view(-1), y.float())

    def validation_step(self, batch, _):
        x, y = batch
        p = torch.sigmoid(self.net(x)).view(-1)
        self.log("val_loss", self.focal(p, y.float()))


def make_melanoma():
    return Melanoma(), *tuples(pixels(), classes(2))


class OneVsRest(Lit):
    """BCE against the one-hot of the class, the 'ResNet strikes back' recipe."""

    def __init__(self):
        super().__init__()
        self.model = classifier(6)

    def training_step(self, batch, _):
        x, y = batch
        return F.binary_cross_entropy_with_logits(self.model(x), F.one_hot(y, 6).to(x.dtype))

    validation_step = training_step


def make_ovr():
    return OneVsRest(), *tuples(pixels(), classes(6))


class LogProbs(Lit):
    """The old PyTorch examples: the network ends in log_softmax."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 8, 3)
            self.dropout = nn.Dropout(0.25)
            self.fc1, self.fc2 = nn.Linear(8 * 36, 16), nn.Linear(16, 10)

        def forward(self, x):
            x = F.relu(self.conv2(F.relu(self.conv1(x))))
            x = self.dropout(F.max_pool2d(x, 2)).flatten(1)
            return F.log_softmax(self.fc2(F.relu(self.fc1(x))), dim=1)

    def __init__(self):
        super().__init__()
        self.net = self.Net()

    def training_step(self, batch, batch_idx):
        data, target = batch
        return F.nll_loss(self.net(data), target)

    def validation_step(self, batch, batch_idx):
        data, target = batch
        out = self.net(data)
        self.log("loss", F.nll_loss(out, target, reduction="sum") / len(data))


def make_logprobs():
    return LogProbs(), *tuples(pixels(1), classes(10))


class ProbsThenLog(Lit):
    """A network that ends in softmax; picks the class by two index vectors."""

    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(classifier(4), nn.Softmax(dim=1))

    def training_step(self, batch, _):
        x, y = batch["x"], batch["y"]
        p = self.cnn(x)
        return -torch.log(p[torch.arange(len(y)), y] + 1e-8).mean()

    validation_step = training_step


def make_probs():
    return ProbsThenLog(), *dicts(x=pixels(), y=classes(4))


class CrammerSinger(Lit):
    """Multi-class hinge by hand."""

    def __init__(self):
        super().__init__()
        self.scorer = classifier(5)

    def training_step(self, batch, _):
        x, y = batch
        s = self.scorer(x)
        right = s.gather(1, y[:, None])
        margin = (s - right + 1).clamp(min=0)
        margin = margin.masked_fill(F.one_hot(y, 5).bool(), 0)
        return margin.sum(1).mean()

    validation_step = training_step


def make_hinge():
    return CrammerSinger(), *tuples(pixels(), classes(5))


class BinaryHinge(Lit):
    """SVM head, labels become -1 and 1."""

    def __init__(self):
        super().__init__()
        self.svm = classifier(1, cin=1)

    def training_step(self, batch, _):
        img, lab = batch["img"], batch["defect"]
        sign = 2 * lab.float() - 1
        score = self.svm(img).squeeze(-1)
        return torch.relu(1 - sign * score).mean()

    validation_step = training_step


def make_binary_hinge():
    return BinaryHinge(), *dicts(img=pixels(1), defect=classes(2))


class Catdog(Lit):
    """Weights of the two classes in a buffer, the loss is a lambda."""

    def __init__(self):
        super().__init__()
        self.register_buffer("w", torch.tensor([1.0, 3.0]))
        self.m = classifier(2)
        self.crit = lambda o, t: F.cross_entropy(o, t, weight=self.w)

    def training_step(self, batch, _):
        return self.crit(self.m(batch[0]), batch[1])

    def validation_step(self, batch, _):
        o = self.m(batch[0])
        self.log("l", self.crit(o, batch[1]))
        self.log("auc_ish", o.softmax(1)[:, 1].mean())


def make_catdog():
    return Catdog(), *tuples(pixels(), classes(2))


class Temperature(Lit):
    """Calibration: a frozen classifier, one learnt temperature."""

    def __init__(self):
        super().__init__()
        self.model = classifier(6).requires_grad_(False)
        self.log_t = nn.Parameter(torch.zeros(()))

    def training_step(self, batch, _):
        x, y = batch
        self.model.eval()
        return F.cross_entropy(self.model(x) / self.log_t.exp(), y)

    validation_step = training_step


def make_temperature():
    return Temperature(), *tuples(pixels(), classes(6))


class GeneralisedCE(Lit):
    """(1 - p_y^q) / q against noisy labels."""

    def __init__(self):
        super().__init__()
        self.net = classifier(5)

    def training_step(self, batch, _):
        x, y, _ids = batch
        p = F.softmax(self.net(x), 1)
        py = torch.gather(p, 1, y.unsqueeze(-1)).clamp(1e-7)
        return ((1 - py**0.7) / 0.7).mean()

    validation_step = training_step


def make_gce():
    return GeneralisedCE(), *tuples(pixels(), classes(5), torch.arange(COUNT))


class AsymmetricLoss(nn.Module):
    def forward(self, x, y, gamma_neg=4, gamma_pos=1, clip=0.05, eps=1e-8):
        xs_pos = torch.sigmoid(x)
        xs_neg = (1 - xs_pos + clip).clamp(max=1)
        los_pos = y * torch.log(xs_pos.clamp(min=eps))
        los_neg = (1 - y) * torch.log(xs_neg.clamp(min=eps))
        loss = los_pos + los_neg
        pt = xs_pos * y + xs_neg * (1 - y)
        w = torch.pow(1 - pt, gamma_pos * y + gamma_neg * (1 - y))
        return -(loss * w).sum()


class CocoTags(Lit):
    def __init__(self):
        super().__init__()
        self.tresnet, self.asl = classifier(9), AsymmetricLoss()

    def training_step(self, batch, _):
        x, y = batch
        return self.asl(self.tresnet(x).float(), y)

    validation_step = training_step


def make_asl():
    return CocoTags(), *tuples(pixels(), bits(9))


@dataclasses.dataclass
class ModelOutput:
    loss: torch.Tensor = None
    logits: torch.Tensor = None
    hidden_states: tuple = ()


class ForImageClassification(nn.Module):
    def __init__(self):
        super().__init__()
        self.vit, self.classifier = backbone(), nn.Linear(10, 8)

    def forward(self, pixel_values=None, labels=None):
        h = self.vit(pixel_values)
        logits = self.classifier(h)
        loss = None if labels is None else F.cross_entropy(logits.view(-1, 8), labels.view(-1))
        return ModelOutput(loss, logits, (h,))


class Hub(Lit):
    """The network computes its own loss from **batch."""

    def __init__(self):
        super().__init__()
        self.model = ForImageClassification()

    def training_step(self, batch, _):
        return self.model(**batch).loss

    def validation_step(self, batch, _):
        out = self.model(**batch)
        self.log("val_loss", out.loss)
        self.log("val_acc", (out.logits.argmax(-1) == batch["labels"]).float().mean())


def make_hub():
    return Hub(), *dicts(pixel_values=pixels(), labels=classes(8))


class Poly1(Lit):
    def __init__(self):
        super().__init__()
        self.encoder, self.fc = backbone(), nn.Linear(10, 4)

    def training_step(self, batch, _):
        x, y = batch
        z = self.fc(self.encoder(x))
        onehot = F.one_hot(y, num_classes=4).float()
        pt = (onehot * F.softmax(z, dim=-1)).sum(-1)
        return (F.cross_entropy(z, y, reduction="none") + 2.0 * (1 - pt)).mean()

    validation_step = training_step


def make_poly():
    return Poly1(), *tuples(pixels(), classes(4))


CASES = {
    "leaf disease notebook, smoothing, meter": (
        make_cassava,
        dict(task="multiclass", net="", head="", target="batch['target']", image="batch['image']"),
    ),
    "focal loss by gather with class weights": (
        make_focal,
        dict(task="multiclass", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "binary focal loss on sigmoids": (
        make_melanoma,
        dict(task="binary", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "BCE on one-hot of the class": (
        make_ovr,
        dict(task=("multiclass", "multilabel"), net="model", head="", target="batch[1]", image="batch[0]"),
    ),
    "network ends in log_softmax, NLL": (
        make_logprobs,
        dict(task="multiclass", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "network ends in softmax, log of indexed": (
        make_probs,
        dict(task="multiclass", net="cnn", head="", target="batch['y']", image="batch['x']"),
    ),
    "multi-class hinge by hand": (
        make_hinge,
        dict(task="multiclass", net="scorer", head="", target="batch[1]", image="batch[0]"),
    ),
    "binary hinge with signs": (
        make_binary_hinge,
        dict(task="binary", net="svm", head="", target="batch['defect']", image="batch['img']"),
    ),
    "two logits, weighted, loss is a lambda": (
        make_catdog,
        dict(task=("multiclass", "binary"), net="m", head="", target="batch[1]", image="batch[0]"),
    ),
    "temperature scaling of a frozen network": (
        make_temperature,
        dict(task="multiclass", net="model", head="", target="batch[1]", image="batch[0]"),
    ),
    "generalised cross-entropy": (
        make_gce,
        dict(task="multiclass", net="net", head="", target="batch[1]", image="batch[0]"),
    ),
    "asymmetric loss on tags": (
        make_asl,
        dict(task="multilabel", net="tresnet", head="", target="batch[1]", image="batch[0]"),
    ),
    "network computes its loss from **batch": (
        make_hub,
        dict(task="multiclass", net="model", head=".logits", target="batch['labels']", image="batch['pixel_values']"),
    ),
    "poly loss, encoder and fc in the step": (
        make_poly,
        dict(task="multiclass", net="fc", head="", target="batch[1]", image="batch[0]"),
    ),
}
