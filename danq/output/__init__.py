"""Output files and folders that are written whole or not at all, and replace only danq's own."""

from danq.output.comment_lines import comment_lines as comment_lines
from danq.output.folder_marker import MARKER as MARKER
from danq.output.folder_marker import Objection as Objection
from danq.output.folder_marker import mark_folder as mark_folder
from danq.output.folder_marker import marked as marked
from danq.output.folder_marker import read_marker as read_marker
from danq.output.folder_marker import remove_marked as remove_marked
from danq.output.replacing_files import OutputFile as OutputFile
from danq.output.replacing_files import check_files as check_files
from danq.output.replacing_files import recover_files as recover_files
from danq.output.replacing_files import replacing as replacing
from danq.output.replacing_files import replacing_files as replacing_files
from danq.output.replacing_folder import check_output_folder as check_output_folder
from danq.output.replacing_folder import recover_folder as recover_folder
from danq.output.replacing_folder import refuse_input_within as refuse_input_within
from danq.output.replacing_folder import replacing_folder as replacing_folder
from danq.output.standard_output import STANDARD_OUTPUT as STANDARD_OUTPUT
from danq.output.standard_output import is_standard_output as is_standard_output
from danq.output.standard_output import name_of_output as name_of_output
from danq.output.standard_output import standard_output as standard_output
from danq.output.targets import OVERWRITE as OVERWRITE
from danq.output.targets import check_distinct as check_distinct
from danq.output.targets import check_folder as check_folder
from danq.output.targets import check_target as check_target
from danq.output.targets import refuse_input as refuse_input
from danq.output.targets import writable as writable
from danq.output.temporary_names import is_leftover as is_leftover
from danq.output.write_errors import os_errors as os_errors
from danq.output.write_errors import write_errors as write_errors

REJECTED = ".rejected.tsv"
"""End of the name of the table of rejects beside an output."""
