"""Pictures in and out of files, at their own format and depth, with their profile and EXIF; sample pictures; crops."""

from pnpsr.images.formats import FORMATS as FORMATS
from pnpsr.images.formats import PEAK as PEAK
from pnpsr.images.formats import READS as READS
from pnpsr.images.formats import check_destination as check_destination
from pnpsr.images.leaves import dead_leaves as dead_leaves
from pnpsr.images.picture import LUMA as LUMA
from pnpsr.images.picture import Picture as Picture
from pnpsr.images.picture import crop_to_multiple as crop_to_multiple
from pnpsr.images.read import pages_in as pages_in
from pnpsr.images.read import read_image as read_image
from pnpsr.images.samples import SAMPLES as SAMPLES
from pnpsr.images.samples import sample_picture as sample_picture
from pnpsr.images.write import join_pages as join_pages
from pnpsr.images.write import write_image as write_image
