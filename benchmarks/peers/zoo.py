"""State-space and linear-attention mixers in plain PyTorch, with the parameters and names of the originals: the peers that
cpu_step.py measures. Nothing is measured here. Each has equivalent ways of doing its work, in WAYS.

    python zoo.py FOLDER    compares all ways with the recorded tensors (*.safetensors) of FOLDER; exit status 1 if they differ
"""
import json
import math
import pathlib
import struct
import sys

import torch
from torch import nn
from torch.nn import functional as F

TOLERANCE = 1e-4


# ---- linear recurrences: h[t] = a[t] h[t-1] + b[t] over dimension 1 ----

def scan_steps(log_a, b):
    """Position by position; each step is vectorised over the rest."""
    h, states = torch.zeros_like(b[:, 0]), []
    for a, term in zip(log_a.exp().unbind(1), b.unbind(1)):
        h = torch.addcmul(term, a, h)
        states.append(h)
    return torch.stack(states, dim=1)


def scan_doubling(log_a, b):
    """In log2(length) rounds over all positions (Hillis and Steele 1986)."""
    a, distance = log_a.exp(), 1
    while distance < b.shape[1]:
        b = torch.cat([b[:, :distance], torch.addcmul(b[:, distance:], a[:, distance:], b[:, :-distance])], dim=1)
        a = torch.cat([a[:, :distance], a[:, distance:] * a[:, :-distance]], dim=1)
        distance *= 2
    return b


def scan_chunks(log_a, b, size=16):
    """Cumulative sums of b / prod(a) within chunks, which are small enough for the quotient, then chunk by chunk."""
    length = b.shape[1]
    if length % size:
        padding = (0, 0) * (b.dim() - 2) + (0, size - length % size)
        log_a, b = F.pad(log_a, padding), F.pad(b, padding)
    log_a, b = (x.unflatten(1, (-1, size)) for x in (log_a, b))
    s = log_a.cumsum(2)
    grown = s.exp()
    local = grown * (b * (-s).exp()).cumsum(2)
    h, before = torch.zeros_like(local[:, 0, 0]), []
    for last, factor in zip(local[:, :, -1].unbind(1), grown[:, :, -1].unbind(1)):
        before.append(h)
        h = torch.addcmul(last, factor, h)
    return (local + grown * torch.stack(before, dim=1).unsqueeze(2)).flatten(1, 2)[:, :length]


class OwnGradient(torch.autograd.Function):
    """Position by position without a graph of the steps; backward is the same recurrence from the end."""

    @staticmethod
    def forward(context, log_a, b):
        a, h = log_a.exp(), torch.empty_like(b)
        state = torch.zeros_like(b[:, 0])
        for t in range(b.shape[1]):
            state = torch.addcmul(b[:, t], a[:, t], state, out=h[:, t])
        context.save_for_backward(a, h)
        return h

    @staticmethod
    def backward(context, dh):
        a, h = context.saved_tensors
        g = torch.empty_like(dh)
        state = g[:, -1].copy_(dh[:, -1])
        for t in range(dh.shape[1] - 2, -1, -1):
            state = torch.addcmul(dh[:, t], a[:, t + 1], state, out=g[:, t])
        d_log_a = g * a
        d_log_a[:, 1:] *= h[:, :-1]
        d_log_a[:, 0] = 0
        return d_log_a, g


class SelectiveSteps(torch.autograd.Function):
    """The selective scan position by position without a graph, and without arrays of (batch, length, channels, state)
    other than the states."""

    @staticmethod
    def forward(context, u, delta, a, b, c):
        time = [x.transpose(0, 1).contiguous() for x in (u * delta, delta, b, c)]
        h = torch.empty(u.shape[1], u.shape[0], *a.shape)
        y = torch.empty(u.shape[1], u.shape[0], a.shape[0])
        state = torch.zeros_like(h[0])
        for t, (ud, d, bt, ct) in enumerate(zip(*time)):
            factor = (d.unsqueeze(-1) * a).exp_()
            torch.mul(ud.unsqueeze(-1), bt.unsqueeze(1), out=h[t])
            state = h[t].addcmul_(factor, state)
            torch.bmm(state, ct.unsqueeze(-1), out=y[t].unsqueeze(-1))
        context.save_for_backward(u, delta, a, b, c, h)
        return y.transpose(0, 1)

    @staticmethod
    def backward(context, dy):
        u, delta, a, b, c, h = context.saved_tensors
        time = [x.transpose(0, 1).contiguous() for x in (dy, u * delta, delta, b, c)]
        d_ud, d_delta, db, dc = (torch.empty_like(x) for x in time[1:])
        da, g = torch.zeros_like(a), torch.zeros_like(h[0])
        for t in range(len(h) - 1, -1, -1):
            dyt, ud, d, bt, ct = (x[t] for x in time)
            torch.bmm(dyt.unsqueeze(1), h[t], out=dc[t].unsqueeze(1))
            g.addcmul_(dyt.unsqueeze(-1), ct.unsqueeze(1))
            torch.bmm(g, bt.unsqueeze(-1), out=d_ud[t].unsqueeze(-1))
            torch.bmm(ud.unsqueeze(1), g, out=db[t].unsqueeze(1))
            g.mul_((d.unsqueeze(-1) * a).exp_())
            if t > 0:
                of_exponent = g * h[t - 1]
                torch.sum(of_exponent * a, -1, out=d_delta[t])
                da += (of_exponent * d.unsqueeze(-1)).sum(0)
            else:
                d_delta[t] = 0
        d_ud, d_delta, db, dc = (x.transpose(0, 1) for x in (d_ud, d_delta, db, dc))
        return d_ud * delta, d_delta + d_ud * u, da, db, dc


SCANS = {"steps": scan_steps, "doubling": scan_doubling, "chunks of 8": lambda a, b: scan_chunks(a, b, 8),
         "chunks of 16": scan_chunks, "steps, own gradient": OwnGradient.apply}
FUSED = "steps, own gradient, fused"


def selective_scan(u, delta, a, b, c, way):
    """y[t] = C[t] h[t], h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t]."""
    if way == FUSED:
        return SelectiveSteps.apply(u, delta, a, b, c)
    h = SCANS[way](delta.unsqueeze(-1) * a, (delta * u).unsqueeze(-1) * b.unsqueeze(2))
    return (h @ c.unsqueeze(-1)).squeeze(-1)


class Mamba(nn.Module):
    """Gu and Dao 2023 (arXiv 2312.00752)."""

    def __init__(self, width, way="steps", d_state=16, d_conv=4, expand=2, dt_rank=None):
        super().__init__()
        inner, self.state, self.way = expand * width, d_state, way
        self.rank = dt_rank or math.ceil(width / 16)
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, d_conv, padding=d_conv - 1, groups=inner)
        self.x_proj = nn.Linear(inner, self.rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner)
        self.dt_proj.keeps_values = True
        with torch.no_grad():
            step = torch.exp(torch.empty(inner).uniform_(math.log(0.001), math.log(0.1)))
            self.dt_proj.bias.copy_(step + torch.log(-torch.expm1(-step)))
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, d_state + 1)).repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        u, z = self.in_proj(x).chunk(2, dim=-1)
        u = F.silu(self.conv1d(u.transpose(1, 2))[..., :x.shape[1]].transpose(1, 2))
        delta, b, c = self.x_proj(u).split([self.rank, self.state, self.state], dim=-1)
        delta = F.softplus(self.dt_proj(delta))
        y = selective_scan(u, delta, -self.A_log.exp(), b, c, self.way) + self.D * u
        return self.out_proj(y * F.silu(z))


class Based(nn.Module):
    """Linear attention with the Taylor features of Arora et al. 2024 (arXiv 2402.18668), quadratic in the length: from
    features, as the original does, or from the scores that they lead to."""

    def __init__(self, width, way="features", feature_dim=16, num_heads=1):
        super().__init__()
        self.way, self.heads, self.features = way, num_heads, feature_dim
        self.proj_q = nn.Linear(width, feature_dim * num_heads, bias=False)
        self.proj_k = nn.Linear(width, feature_dim * num_heads, bias=False)
        self.proj_v = nn.Linear(width, width, bias=False)
        self.proj_o = nn.Linear(width, width, bias=False)

    def expand(self, x):
        squares = (x.unsqueeze(-1) * x.unsqueeze(-2)).flatten(-2) / math.sqrt(2 * self.features)
        return torch.cat([torch.ones_like(x[..., :1]), x / self.features ** 0.25, squares], dim=-1)

    def forward(self, x):
        q, k, v = (p(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for p in (self.proj_q, self.proj_k, self.proj_v))
        if self.way == "features":
            q, k = self.expand(q), self.expand(k)
            weights = (q @ k.transpose(-1, -2)).tril()
            y = weights @ v / ((q * k.cumsum(2)).sum(-1, keepdim=True) + 1e-12)
        else:
            s = q @ (k.transpose(-1, -2) * self.features ** -0.5)
            weights = torch.addcmul(s + 1, s, s, value=0.5).tril()
            y = weights @ v / (weights.sum(-1, keepdim=True) + 1e-12)
        return self.proj_o(y.transpose(1, 2).flatten(-2))


class Rwkv4(nn.Module):
    """The time mixing of Peng et al. 2023 (arXiv 2305.13048) with a running maximum, position by position: no cumulative
    form bears its decays."""

    def __init__(self, width, way="steps", layer=0):
        super().__init__()
        self.way = way
        late, early, c = layer / 11, 1 - layer / 12, torch.arange(width) / width
        self.time_decay = nn.Parameter(-5 + 8 * (torch.arange(width) / max(1, width - 1)) ** (0.7 + 1.3 * late))
        self.time_first = nn.Parameter(math.log(0.3) + 0.5 * ((torch.arange(width) + 1) % 3 - 1))
        self.time_mix_k, self.time_mix_v, self.time_mix_r = (
            nn.Parameter(mix.view(1, 1, -1)) for mix in (c ** early, c ** early + 0.3 * late, c ** (0.5 * early)))
        self.key, self.value, self.receptance, self.output = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, x):
        shifted = F.pad(x, (0, 0, 1, -1))
        k, v, r = (projection(torch.lerp(shifted, x, mix)) for projection, mix in (
            (self.key, self.time_mix_k), (self.value, self.time_mix_v), (self.receptance, self.time_mix_r)))
        rate, y = self.time_decay.exp(), []
        p = q = torch.zeros_like(k[:, 0])
        o = torch.full_like(p, -1e38)
        for key, value in zip(k.unbind(1), v.unbind(1)):
            current = self.time_first + key
            m = torch.maximum(o, current)
            past, now = torch.exp(o - m), torch.exp(current - m)
            y.append(torch.addcmul(now * value, past, p) / torch.addcmul(now, past, q))
            decayed = o - rate
            o = torch.maximum(decayed, key)
            past, now = torch.exp(decayed - o), torch.exp(key - o)
            p, q = torch.addcmul(now * value, past, p), torch.addcmul(now, past, q)
        return self.output(torch.sigmoid(r) * torch.stack(y, dim=1))


class H3(nn.Module):
    """Fu et al. 2022 (arXiv 2212.14052), with heads of one channel; the kernels as sums of powers."""

    class Kernel(nn.Module):
        def __init__(self, **parameters):
            super().__init__()
            self.kernel = nn.Module()
            for name, value in parameters.items():
                self.kernel.register_parameter(name, nn.Parameter(value))

    def __init__(self, width, way="channels-first", d_state=64):
        super().__init__()
        self.way, modes = way, d_state // 2
        self.q_proj, self.k_proj, self.v_proj, self.output_linear = (nn.Linear(width, width) for _ in range(4))
        first = torch.zeros(width, d_state)
        first[:, 0] = 1
        self.ssm_k_kernel = H3.Kernel(B=first, C=(2 * torch.rand(1, width, d_state) - 1) / d_state ** 0.5)
        self.ssm_k_D, self.D = nn.Parameter(torch.randn(width)), nn.Parameter(torch.randn(width))
        ones = torch.stack([torch.ones(1, modes), torch.zeros(1, modes)], dim=-1)
        self.kernel = H3.Kernel(
            log_dt=torch.empty(width).uniform_(math.log(0.001), math.log(0.1)),
            B=ones.expand(width, modes, 2).clone(), C=torch.randn(1, width, modes, 2) / 2 ** 0.5,
            inv_A_real=torch.full((width, modes), math.log(0.5)), A_imag=math.pi * torch.arange(modes).repeat(width, 1))

    def shift_filter(self, length):
        k = self.ssm_k_kernel.kernel
        size, taps = 2 * k.B.shape[-1], min(k.B.shape[-1], length)
        s = torch.fft.irfft(torch.fft.rfft(k.B, n=size).conj() * torch.fft.rfft(k.C[0], n=size), n=size)[:, :taps]
        return s

    def diagonal_filter(self, length):
        k = self.kernel.kernel
        dt = k.log_dt.exp().unsqueeze(-1)
        dta = torch.complex(-k.inv_A_real.exp(), k.A_imag) * dt
        c = torch.view_as_complex(k.B) * torch.view_as_complex(k.C[0]) * dt / (1 - dta / 2)
        log_a = torch.log((1 + dta / 2) / (1 - dta / 2))
        powers = torch.exp(log_a.unsqueeze(-1) * torch.arange(length))
        return 2 * (c.unsqueeze(1) @ powers).squeeze(1).real

    @staticmethod
    def convolve(x, h):
        size = 2 * x.shape[-1]
        return torch.fft.irfft(torch.fft.rfft(x, n=size) * torch.fft.rfft(h, n=size), n=size)[..., :x.shape[-1]]

    def forward(self, x):
        q, k, v = (p(x).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        length = x.shape[1]
        k = self.convolve(k, self.shift_filter(length)) + self.ssm_k_D.unsqueeze(-1) * k
        kv = k * v
        y = q * (self.convolve(kv, self.diagonal_filter(length)) + self.D.unsqueeze(-1) * kv)
        return self.output_linear(y.transpose(1, 2))


WAYS = {"mamba": [*SCANS, FUSED], "based": ["features", "scores"], "rwkv-4": ["steps"], "h3": ["channels-first"]}
MIXERS = tuple(WAYS)


def make_mixer(name, layer, width, way):
    if name == "rwkv-4":
        return Rwkv4(width, way, layer)
    return {"mamba": Mamba, "based": Based, "h3": H3}[name](width, way)


# ---- comparison with recorded tensors ----

RECORDED = {"zoology.mixers.mamba.Mamba": ("mamba", Mamba), "zoology.mixers.based.Based": ("based", Based),
            "zoology.mixers.rwkv.RWKVTimeMixer": ("rwkv-4", Rwkv4), "zoology.mixers.h3.H3": ("h3", H3)}


def read(path):
    """Tensors and metadata of a safetensors file of float32."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    metadata, body = header.pop("__metadata__", {}), bytearray(data[8 + size:])
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if entry["dtype"] == "F32" and end > begin:
            tensors[name] = torch.frombuffer(body[begin:end], dtype=torch.float32).view(entry["shape"])
    return tensors, metadata


def largest_error(module, tensors):
    """As parity does: of the output, and of gradients relative to the largest of their own or a share of that of all."""
    module.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("param.")})
    x = tensors["input"].clone().requires_grad_()
    y = module(x)
    y.backward(tensors["grad_output"])
    pairs = [(x.grad, tensors["grad_input"])]
    pairs += [(p.grad, tensors["grad." + name]) for name, p in module.named_parameters() if "grad." + name in tensors]
    scale = 1e-3 * max(expected.abs().max() for _, expected in pairs)
    errors = [(y - tensors["output"]).abs().max() / tensors["output"].abs().max()]
    errors += [(ours - expected).abs().max() / max(expected.abs().max(), scale) for ours, expected in pairs]
    return max(error.item() for error in errors)


def peers_of(metadata):
    """The modules that a recorded case can be compared with: way -> module; none if its options are not ours."""
    name, make = RECORDED.get(metadata.get("module_class"), (None, None))
    arguments = json.loads(metadata.get("ctor_kwargs", "{}"))
    width = arguments.pop("d_model", 0)
    if name == "rwkv-4":
        arguments = {"layer": arguments.get("layer_idx", 0)}
    for without_effect in ("l_max", "layer_idx", "use_fast_path"):
        arguments.pop(without_effect, None)
    if name == "based" and arguments.pop("feature_name", "taylor_exp") != "taylor_exp":
        return {}
    if name == "based":
        arguments.pop("train_view", None)
        heads = arguments.pop("num_key_value_heads", 12)
        arguments.setdefault("num_heads", 12)
        arguments = arguments if heads == arguments["num_heads"] else {"other": None}
    try:
        return {way: make(width, way, **arguments) for way in WAYS.get(name, [])}
    except TypeError:
        return {}


def compare_recorded(folder):
    passed = True
    for path in sorted(folder.glob("*.safetensors")):
        tensors, metadata = read(path)
        if "bf16" in path.stem:  # records the rounding of another precision
            continue
        for way, module in peers_of(metadata).items():
            error = largest_error(module, tensors)
            passed &= error <= TOLERANCE
            print(json.dumps({"case": path.stem, "way": way, "error": error, "passed": error <= TOLERANCE}), flush=True)
    return passed


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(0 if compare_recorded(pathlib.Path(sys.argv[1])) else 1)
