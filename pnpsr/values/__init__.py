"""Solvers and other parts as values: descriptions that compare, travel in files and mark results; and the names they have."""

from pnpsr.values.code import code_digest as code_digest
from pnpsr.values.expression import Built as Built
from pnpsr.values.expression import Expression as Expression
from pnpsr.values.expression import content_digest as content_digest
from pnpsr.values.expression import expression as expression
from pnpsr.values.expression import identity as identity
from pnpsr.values.expression import weights_digest as weights_digest
from pnpsr.values.imports import by_words as by_words
from pnpsr.values.imports import plugins as plugins
from pnpsr.values.imports import use as use
from pnpsr.values.imports import used as used
from pnpsr.values.options import Options as Options
from pnpsr.values.rebuild import built as built
from pnpsr.values.rebuild import change as change
from pnpsr.values.rebuild import rebuilt as rebuilt
from pnpsr.values.recipe import Entry as Entry
from pnpsr.values.recipe import entry_of as entry_of
from pnpsr.values.recipe import recipe as recipe
from pnpsr.values.recipe import trainable as trainable
from pnpsr.values.registry import RECIPES as RECIPES
from pnpsr.values.registry import Registry as Registry
from pnpsr.values.structure import Undescribed as Undescribed
from pnpsr.values.structure import opaque as opaque
from pnpsr.values.structure import structure as structure
