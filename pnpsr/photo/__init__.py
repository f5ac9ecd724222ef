"""Photographs: of any size, in any file, better or left alone."""

from pnpsr.photo.restoration import Restoration as Restoration
from pnpsr.photo.restore import restore as restore
