"""Name the format of text that is not a table of variants."""

from __future__ import annotations

import re

ALLELE = r"(?:[ACGTNacgtn*.,-]+|<[^\s>]+>)"

FORMATS: list[tuple[str, str, str]] = [
    (r"##gff-version|##gvf-version", "GFF or GVF", "Convert it to VCF"),
    (r"##maf version", "a multiple alignment (MAF)", "Give a VCF"),
    (r"(track|browser)\s", "a track of the UCSC browser", "Give a VCF"),
    (r"@HD\t|@SQ\t", "SAM", "Call its variants first, for example with: bcftools mpileup"),
    (r"#?AlleleID\t", "a table of ClinVar, with rows of several assemblies", "Give ClinVar's VCF"),
    (r"[>@]\S", "FASTA or FASTQ", "Give a VCF"),
    (
        r"rs\d+(\s|,|$)",
        "a list of rs numbers",
        "Get their positions and alleles, as a VCF of dbSNP",
    ),
    (r"\S+:[gcmnpr]\.\S", "a list of HGVS names", "Convert it to VCF"),
    (r"N[CTGW]_\d+(\.\d+)?:\d+:\w*:\w*", "a list of SPDI names", "Convert it to VCF"),
    (
        r"(chr)?\w{1,30}[:_-]\d+[:_-]([ACGT]+)[:_/>-]([ACGT]+)(_b\d\d)?\s*$",
        "a list of variants without a line of column names",
        "Write 'variant_id' as the first line",
    ),
    (
        rf"\S+\s+\d+\s+\d+\s+{ALLELE}/{ALLELE}",
        "the input format of VEP",
        "Convert it to VCF",
    ),
    (
        rf"\S+\s+\d+\s+\d+\s+{ALLELE}\s+{ALLELE}(\s|$)",
        "intervals with alleles without a line of column names",
        "Write the names as the first line, tab-separated: chrom start end ref alt and the others",
    ),
    (
        rf"\S+\s\d+\s\S+\s{ALLELE}\s{ALLELE}(\s|$)",
        "records of a VCF without its header",
        "Write the names as the first line, tab-separated: #CHROM POS ID REF ALT and the others",
    ),
    (
        r"\S+\t\S+\t\S+\t\d+\t\d+\t\S+\t[-+.?]\t[.012]\t",
        "GFF or GTF",
        "Give a VCF; GFF has no alleles",
    ),
    (
        rf"\S+\s+\S+\s+-?[\d.]+\s+\d+\s+{ALLELE}\s+{ALLELE}\s*$",
        "a .bim file of PLINK",
        "Convert it to VCF, for example with plink2",
    ),
    (
        r"(chr|[^\t\n])*\t\d+\t\d+(\t|\s*$)",
        "BED",
        "BED has no alleles; give a VCF",
    ),
    (
        rf"\S+[\t ,;]+\d+[\t ,;]+{ALLELE}[\t ,;]+{ALLELE}(\W|$)",
        "a table without a line of column names",
        "Write the names as the first line: chrom, pos, ref, alt",
    ),
]
"""Pattern of the first line, name of the format and remedy."""


def name_of_format(line: str) -> tuple[str, str] | None:
    """Name and remedy of the format that a first line shows, or None for an unknown one."""
    for pattern, name, remedy in FORMATS:
        if re.match(pattern, line, re.IGNORECASE):
            return name, remedy
    return None
