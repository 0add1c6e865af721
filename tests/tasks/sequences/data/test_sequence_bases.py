"""FASTA as it is found: blocks of GenBank, masked repeats, RNA, alignments, proteins."""

from pathlib import Path

import pytest

from subquad.tasks.sequences.data import DNA, SequenceData, SequenceOptions, check_sequences, open_sequences
from subquad.tasks.sequences.data.bases import bases_of
from subquad.tasks.sequences.data.genome import read_fasta
from subquad.tasks.sequences.data.unlabelled import encode_all, read_unlabelled, unlabelled_encoder
from subquad.tasks.sequences.data.vocabulary import learned_vocabulary

PROTEIN = "MKVLAEFPIQLLGDEWYHTRSEPLIQFE"


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("ACGT", "ACGT"),
        ("        1 caaaacacaa agagagacaa\n       21 acgt\n", "caaaacacaaagagagacaaacgt"),
        ("     acgtacgtac gtac        14", "acgtacgtacgtac"),
        ("ORIGIN\n        1 acgt\n//\n", "acgt"),
        ("AC GT\tA\r\nC\r\n", "ACGTAC"),
        (" 1 \n", ""),
    ],
)
def test_blanks_and_positions_are_no_bases(text: str, letters: str) -> None:
    assert bases_of(text) == letters


@pytest.mark.parametrize("text", ["AC-GT", "ACGT*", "AC.G", "ACG1", "1ACG", "AC>G", "ACé", "AC,G"])
def test_what_is_no_letter_is_refused_rather_than_read_as_n(text: str) -> None:
    with pytest.raises(ValueError, match="would shift the positions after it; take it out"):
        bases_of(text)


def folder(root: Path, **files: str) -> SequenceOptions:
    for name, text in files.items():
        (root / f"{name}.fa").write_text(text)
    return SequenceOptions("genome", str(root), val_fraction=0, test_fraction=0, batch_size=1)


def test_a_block_of_genbank_has_no_n(tmp_path: Path) -> None:
    options = folder(
        tmp_path,
        fly=">a\r\n        1 caaaacacaa agagagacaa\r\n       21 agag\r\n>b\r\nACGT\r\n",
        human=">c\nORIGIN\n        1 acgt\n//\n",
    )
    data = open_sequences(options)["train"]
    assert [DNA.decode(data[i].inputs) for i in range(3)] == ["CAAAACACAAAGAGAGACAAAGAG", "ACGT", "ACGT"]
    assert check_sequences(options).ok


def test_letters_that_are_read_as_others_are_said(tmp_path: Path) -> None:
    data = SequenceData(folder(tmp_path, a=">1\nacgtACGTRY\n", b=">2\nACGTACGTAC\n"))
    assert data.notes == [
        f"{tmp_path}: 20.0% of the letters are small, as in masked repeats, and count as capitals.",
        f"{tmp_path}: 2 letters mean one of several bases and count as N: R (1), Y (1).",
    ]
    found = data.unknown("train")
    assert found is not None and not found.counts  # they are known to be unknown


def test_rna_is_unknown_and_the_remedy_is_said(tmp_path: Path) -> None:
    options = folder(tmp_path, a=">1\nACGU\n", b=">2\nacguacgu\n")
    (problem,) = check_sequences(options).problems
    assert "3 of 12 tokens (25.0%) in 2 of 2 sequences" in problem and "read as N: 'U' (3)" in problem
    assert "RNA has U for the T of DNA: write T for U" in problem


@pytest.mark.parametrize("letters", [PROTEIN, "MRKVDHSWYMRKVDHSWY"])
def test_proteins_are_no_genomes(letters: str, tmp_path: Path) -> None:
    options = folder(tmp_path, a=">1\nACGT\n", b=f">2\n{letters}\n>3\n{letters}\n")
    for read in (open_sequences, check_sequences):
        with pytest.raises(ValueError, match="b.fa holds no nucleic acids: .* of the letters"):
            read(options)
    table = tmp_path / "a.csv"
    table.write_text(f"sequence,label\n{letters},x\n{letters},y\n")
    with pytest.raises(ValueError, match="a.csv holds no nucleic acids"):
        open_sequences(SequenceOptions("genome", file=str(table), val_fraction=0, test_fraction=0))


def test_one_protein_among_genomes_is_named(tmp_path: Path) -> None:
    dna = "ACGT" * 200
    options = folder(tmp_path, a=f">1\n{dna}\n>2\n{PROTEIN}\n", b=f">3\n{dna}\n")
    (problem,) = check_sequences(options).problems[:1]
    assert "a.fa, line 3: it is no nucleic acid" in problem


def test_tables_of_genomes_are_read_as_fasta_is(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("sequence,label\n1 ACGT acgt,x\nAC-GT,y\nGGG,y\n")
    options = SequenceOptions("genome", file=str(path), val_fraction=0, test_fraction=0)
    assert "row 3: '-' is a gap" in check_sequences(options).problems[0]
    path.write_text("sequence,label\n1 ACGT acgt,x\nGGG,y\n")
    assert open_sequences(options)["train"][0].inputs.tolist() == DNA.encode("ACGTACGT").tolist()


def test_any_letters_are_read_for_other_networks(tmp_path: Path) -> None:
    path = tmp_path / "a.fa"
    path.write_text(f">1\n{PROTEIN[:10].lower()} {PROTEIN[10:]}*\n")
    (record,) = read_fasta(path, "")
    assert record.sequence == f"{PROTEIN[:10].lower()}{PROTEIN[10:]}*"
    vocabulary = learned_vocabulary(PROTEIN + "*", "characters")
    (record,) = read_unlabelled(path, SequenceOptions(), vocabulary)
    assert record.sequence == PROTEIN + "*"  # such a network knows capitals alone


def test_files_of_one_sequence_lose_blanks_and_positions_too(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("1 acgt\n5 AC\n")
    problems: list[str] = []
    records = read_unlabelled(path, SequenceOptions(), DNA)
    ((_, inputs),) = encode_all(records, unlabelled_encoder(DNA), 1, problems.append)
    assert DNA.decode(inputs) == "ACGTAC" and not problems
    path.write_text("AC-GT")
    assert not encode_all(records, unlabelled_encoder(DNA), 1, problems.append)
    assert f"{path}: '-' is a gap" in problems[0]
