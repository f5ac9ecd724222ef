"""Pictures, and endless seeded batches of degraded crops with their truth."""

from pnpsr.data.bank import Bank as Bank
from pnpsr.data.batched import BatchedStream as BatchedStream
from pnpsr.data.cache import cached as cached
from pnpsr.data.camera import Camera as Camera
from pnpsr.data.jpeg import jpeg as jpeg
from pnpsr.data.pairs import Pairs as Pairs
from pnpsr.data.pairs import PairStream as PairStream
from pnpsr.data.pictures import Folder as Folder
from pnpsr.data.pictures import FromDataset as FromDataset
from pnpsr.data.pictures import Pictures as Pictures
from pnpsr.data.pictures import held_out as held_out
from pnpsr.data.sample import Sample as Sample
from pnpsr.data.settings import SETTINGS as SETTINGS
from pnpsr.data.settings import Setting as Setting
from pnpsr.data.settings import setting as setting
from pnpsr.data.stream import Source as Source
from pnpsr.data.stream import Stream as Stream
from pnpsr.data.survey import Survey as Survey
from pnpsr.data.survey import surveyed as surveyed
