"""Make the variants_* files with bcftools, bgzip and tabix (bcftools 1.16 was used).

Run in this folder: python make_variants.py.

variants_genome.fa.gz   three contigs, many short repeats, unknown bases, in both cases
variants_random.vcf.gz  random variants: any kind, several ALT, padded, unaligned, at both ends
variants_norm.tsv.gz    what ``bcftools norm`` makes of each, and the windows with it that
                        ``bcftools consensus`` gives, anchored on the left and on the right
variants_phased.vcf.gz  two samples' phased genotypes, no two alleles touching
variants_phased.tsv.gz  alleles that a sample carries: what ``bcftools consensus`` gives for
                        the window on their first haplotype, without them and with them
"""

from __future__ import annotations

import gzip
import random
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
CONTIGS = {"one": 30_000, "two": 9_000, "three": 700}
WINDOW = 40
CENTER = WINDOW // 2 - 1
FLANK = 60
"""Bases around a variant that a region for ``bcftools consensus`` takes in."""
COUNT = 3000
SAMPLES = ("first", "second")
PHASED = {"two": 1_500, "three": 690}
"""Where phased variants end on their contigs."""
draw = random.Random(4)


def run(*command: str | Path, text: str | None = None) -> str:
    done = subprocess.run(
        list(map(str, command)), input=text, capture_output=True, text=True, check=True
    )
    return done.stdout


def bases(count: int) -> str:
    return "".join(draw.choice("ACGT") for _ in range(count))


def contig(length: int) -> str:
    parts, size = [], 0
    while size < length:
        if draw.random() < 0.5:
            part = bases(draw.randint(5, 60))
        else:
            part = bases(draw.randint(1, 4)) * draw.randint(3, 9)
        if draw.random() < 0.01:
            part += "N" * draw.randint(1, 30)
        parts.append(part.lower() if draw.random() < 0.2 else part)
        size += len(part)
    return "".join(parts)[:length]


def fasta(genome: dict[str, str]) -> str:
    return "".join(f">{name}\n{text}\n" for name, text in genome.items())


def alternate(ref: str) -> str:
    """Another allele: inserted, deleted, substituted or replaced bases."""
    kind = draw.randrange(5)
    if kind == 0:
        return ref + bases(draw.randint(1, 9))
    if kind == 1:
        return ref[: draw.randint(1, len(ref))]
    if kind == 2:
        at = draw.randrange(len(ref))
        return ref[:at] + bases(1) + ref[at + 1 :]
    if kind == 3:
        # A repeat's unit once more: left-alignment has far to go.
        at = draw.randrange(len(ref))
        return ref + ref[at:]
    return bases(draw.randint(1, len(ref) + 2))


def random_variants(genome: dict[str, str]) -> list[tuple[str, int, str, list[str]]]:
    """Contig, 0-based position, REF and ALTs that differ from it."""
    places = [("one", 0), ("one", 1), ("two", 0), ("three", 0), ("three", 1), ("three", 2)]
    places += [("one", len(genome["one"]) - 5), ("three", len(genome["three"]) - 3)]
    while len(places) < COUNT:
        name = draw.choices(list(CONTIGS), weights=list(CONTIGS.values()))[0]
        places.append((name, draw.randrange(CONTIGS[name])))
    rows = []
    for name, at in sorted(places, key=lambda place: (list(CONTIGS).index(place[0]), place[1])):
        ref = genome[name][at : at + draw.choice([1, 1, 1, 2, 3, 5, 9])].upper()
        alts = {alternate(ref) for _ in range(draw.choice([1, 1, 1, 2, 3]))} - {ref}
        if "N" not in ref and alts:
            rows.append((name, at, ref, sorted(alts)))
    return rows


def header(*further: str, samples: tuple[str, ...] = ()) -> str:
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
    columns += ["FORMAT", *samples] if samples else []
    contigs = [f"##contig=<ID={name},length={length}>" for name, length in CONTIGS.items()]
    return "\n".join(["##fileformat=VCFv4.2", *contigs, *further, "\t".join(columns)]) + "\n"


def normalised(vcf: str, reference: Path) -> list[list[str]]:
    """Records of ``bcftools norm``, one per ALT."""
    text = run("bcftools", "norm", "-m", "-any", "-f", reference, "-", text=vcf)
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


def consensus(vcf: str, sequence: str, folder: Path, *options: str) -> dict[str, str]:
    """Records of FASTA text with the variants of a VCF put in."""
    path = folder / "some.vcf.gz"
    done = subprocess.run(["bgzip", "-c"], input=vcf.encode(), capture_output=True, check=True)
    path.write_bytes(done.stdout)
    run("tabix", "-f", "-p", "vcf", path)
    found: dict[str, str] = {}
    for part in run("bcftools", "consensus", *options, path, text=sequence).split(">")[1:]:
        name, _, body = part.partition("\n")
        found[name.strip()] = body.replace("\n", "").upper()
    return found


def padded(text: str, low: int, high: int) -> str:
    return "".join(text[i] if 0 <= i < len(text) else "N" for i in range(low, high))


def make_random(genome: dict[str, str], reference: Path, folder: Path) -> None:
    lines = [
        f"{name}\t{at + 1}\tv{number}\t{ref}\t{','.join(alts)}\t.\t.\t"
        f"ALLELE={','.join(str(i + 1) for i in range(len(alts)))}"
        for number, (name, at, ref, alts) in enumerate(random_variants(genome), start=1)
    ]
    info = '##INFO=<ID=ALLELE,Number=A,Type=Integer,Description="Number of the ALT">'
    vcf = header(info) + "\n".join(lines) + "\n"
    (HERE / "variants_random.vcf.gz").write_bytes(gzip.compress(vcf.encode(), mtime=0))
    records = sorted(normalised(vcf, reference), key=lambda row: (row[0], int(row[1])))
    # Far enough apart that no two are in one region.
    groups: dict[int, list[list[str]]] = defaultdict(list)
    ends: dict[int, tuple[str, int]] = {}
    for row in records:
        group = 0
        while group in ends and ends[group][0] == row[0] and ends[group][1] > int(row[1]):
            group += 1
        groups[group].append(row)
        ends[group] = row[0], int(row[1]) + len(row[3]) + 2 * FLANK + 2
    rows = []
    for group in groups.values():
        regions, expected = [], []
        for row in group:
            at = int(row[1]) - 1
            low, high = max(0, at - FLANK), min(CONTIGS[row[0]], at + len(row[3]) + FLANK)
            regions.append((f"{row[0]}:{low + 1}-{high}", genome[row[0]][low:high]))
            expected.append((row, at - low, high - low))
        body = header(info) + "".join("\t".join(row) + "\n" for row in group)
        texts = consensus(body, fasta(dict(regions)), folder)
        for (name, _), (row, inside, size) in zip(regions, expected, strict=True):
            text = texts[name]
            # The window starts CENTER bases before POS; or ends where it does without the ALT.
            low = inside - CENTER
            left = padded(text, low, low + WINDOW)
            after = low + WINDOW - size + len(text)
            right = padded(text, after - WINDOW, after)
            fields = [
                row[2].removeprefix("v"),
                row[7].removeprefix("ALLELE="),
                *row[1:2],
                *row[3:5],
            ]
            rows.append([*map(str, fields), left, right if right != left else "="])
    rows.sort(key=lambda row: (int(row[0]), int(row[1])))
    names = "record\tallele\tpos\tref\talt\tleft\tright"
    text = "\n".join([names, *("\t".join(row) for row in rows)]) + "\n"
    (HERE / "variants_norm.tsv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def phased_records(genome: dict[str, str]) -> list[list[str]]:
    rows: list[list[str]] = []
    for name, end in PHASED.items():
        at = 3
        while at < end:
            ref = genome[name][at : at + draw.choice([1, 1, 2, 4])].upper()
            alts = sorted({alternate(ref), alternate(ref)} - {ref})
            if "N" not in ref and alts:
                calls = ["|".join(str(draw.randint(0, len(alts))) for _ in "ab") for _ in SAMPLES]
                variant = [name, str(at + 1), f"p{len(rows) + 1}", ref, ",".join(alts)]
                rows.append([*variant, ".", ".", ".", "GT", *calls])
            at += len(ref) + draw.choice([1, 2, 3, 5, 8, 30])
    return rows


def make_phased(genome: dict[str, str], reference: Path, folder: Path) -> None:
    gt = '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">'
    records = phased_records(genome)

    def vcf(rows: list[list[str]], further: str = "") -> str:
        head = header(gt, *([further] if further else []), samples=SAMPLES)
        return head + "".join("\t".join(row) + "\n" for row in rows)

    (HERE / "variants_phased.vcf.gz").write_bytes(gzip.compress(vcf(records).encode(), mtime=0))
    info = '##INFO=<ID=ALLELE,Number=A,Type=Integer,Description="Number of the ALT">'
    numbered = [
        [*row[:7], f"ALLELE={'1,2'[: 2 * row[4].count(',') + 1]}", *row[8:]] for row in records
    ]
    place = {
        (row[2], row[7][-1]): int(row[1]) - 1 for row in normalised(vcf(numbered, info), reference)
    }
    sequence = fasta({name: genome[name] for name in PHASED})
    lines = ["sample\trecord\tallele\thaplotype\twithout\twith"]
    for column, sample in enumerate(SAMPLES, start=9):
        for haplotype in (1, 2):
            options = "-s", sample, "-H", str(haplotype)
            whole = consensus(vcf(records), sequence, folder, *options)
            grown = dict.fromkeys(PHASED, 0)
            for row in records:
                calls = row[column].split("|")
                allele, name = calls[haplotype - 1], row[0]
                before = grown[name]
                grown[name] += len([row[3], *row[4].split(",")][int(allele)]) - len(row[3])
                at = place.get((row[2], allele), -1)
                # Skip alleles that left-alignment moves, since alleles in between may prevent
                # it. danq uses the first haplotype that carries an allele.
                if allele == "0" or at < int(row[1]) - 1 or calls.index(allele) < haplotype - 1:
                    continue
                rest = [other for other in records if other is not row]
                without = consensus(vcf(rest), sequence, folder, *options)[name]
                low = at + before - CENTER
                both = (padded(text, low, low + WINDOW) for text in (without, whole[name]))
                lines.append("\t".join([sample, row[2][1:], allele, str(haplotype), *both]))
    text = "\n".join(lines) + "\n"
    (HERE / "variants_phased.tsv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def main() -> None:
    genome = {name: contig(length) for name, length in CONTIGS.items()}
    (HERE / "variants_genome.fa.gz").write_bytes(gzip.compress(fasta(genome).encode(), mtime=0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference = folder / "genome.fa"
        reference.write_text(fasta(genome))
        make_random(genome, reference, folder)
        make_phased(genome, reference, folder)


if __name__ == "__main__":
    main()
