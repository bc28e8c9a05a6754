"""The rules of the town, one module per rule; ``tick.py`` defines their order.

Kernels name what every rule handles by one letter, and each letter has one meaning in all of them:

=====  ==============================================================================================
``t``  the constants of a run (``Tables``)
``s``  the state of all towns (``TownState``)
``j``  the journal, into which facts are written as rows (``Journal``)
``w``  arrays that one tick works in, and that are not saved (``Scratch``)
``c``  the cursor: how far a tick is when it leaves the kernel for a hook
``b``  number of the town in its batch
``i``  slot of a resident, and ``r`` its record
``o``  number of an object
``a``  number of an affordance
``n``  number of a need
``p``  number of a profile
``d``  one of the four directions
``k``  position in a list
``x``  column of a tile, and ``y`` its row
=====  ==============================================================================================

The fields ``a`` to ``h`` and ``x`` to ``z`` of a journal row have other meanings: ``compiled/rows.py`` lists
them for each kind of row.
"""
